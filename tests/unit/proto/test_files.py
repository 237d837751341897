"""A file is written whole or stays as it is."""

import resource
import signal
from pathlib import Path

import pytest

from loopbench.files import replace_file

OLD, NEW = b"old", b"new" * 1_000


def test_a_new_file_and_a_replaced_one(tmp_path: Path) -> None:
    file = tmp_path / "a"
    replace_file(file, OLD)
    file.chmod(0o640)
    replace_file(file, NEW)
    assert file.read_bytes() == NEW
    assert file.stat().st_mode & 0o777 == 0o640
    assert [*tmp_path.iterdir()] == [file]


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(OLD)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            replace_file(file, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.read_bytes() == OLD
    assert [*tmp_path.iterdir()] == [file]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    for content in (OLD, NEW):  # at first, the link points to nothing
        replace_file(link, content)
        assert (link.is_symlink(), file.read_bytes()) == (True, content)


def test_the_longest_name_is_possible(tmp_path: Path) -> None:
    file = tmp_path / ("n" * 255)
    replace_file(file, NEW)
    assert file.read_bytes() == NEW


def test_a_device_is_written_directly() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        replace_file(Path("/dev/full"), NEW)
    replace_file(Path("/dev/null"), NEW)
    assert Path("/dev/null").is_char_device()
