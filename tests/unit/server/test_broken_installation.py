"""A server is not ready while the engine cannot be imported."""

import os
import subprocess
import sys
from pathlib import Path

# The first task of a server, in a process like a worker's.
PROGRAM = """
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers import process
from loopbench_server.workers.protocol import Task
process._describe(Task(kind="describe", config=WorkerConfig()), b"", lambda _: None)
"""


def test_a_worker_without_keras_does_not_describe_its_machine(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text("raise ImportError('broken installation')")
    variables = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: broken installation\n")
