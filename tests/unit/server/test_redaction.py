"""Error messages without internal details."""

import pytest

from loopbench_server.workers.redaction import redact_paths


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[Errno 28] No space left on device: '/tmp/a/worker-1'", "[Errno 28] No space left on device: '(path)'"),
        ('File "/usr/lib/python3/keras/trainer.py", line 3', 'File "(path)", line 3'),
        ("/srv/data;/srv/other/x, (/a/b)", "(path);(path), ((path))"),
        ("file:///srv/data/x and ~/.keras/y", "(path) and (path)"),
        # No path of this machine.
        ("https://www.tensorflow.org/guide/function", "https://www.tensorflow.org/guide/function"),
        ("/job:localhost/replica:0/task:0/device:CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0"),
        ("node sequential/dense/MatMul", "node sequential/dense/MatMul"),
        ("3 / 4 or 1/2", "3 / 4 or 1/2"),
    ],
)
def test_paths_are_hidden(text: str, shown: str) -> None:
    assert redact_paths(text) == shown


def test_known_folders_are_found_whatever_their_names() -> None:
    assert redact_paths("cannot write /my data/logs/run 1/events", "/my data/logs", "") == (
        "cannot write (path)/run 1/events"
    )
