from pathlib import Path

import pytest
from structlog.testing import capture_logs

from loopbench_server.security.reloading_files import MAX_FILE_BYTES, BrokenFileError, ReloadingFiles


def number(contents: tuple[bytes, ...]) -> int:
    try:
        return sum(map(int, contents))
    except ValueError:
        raise BrokenFileError(["no number"]) from None


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("1")
    second.write_text("2")
    return first, second


def test_every_change_is_read_again(paths: tuple[Path, Path]) -> None:
    watched = ReloadingFiles(paths, number)
    assert watched.current() == 3
    for value in range(3, 9):
        paths[0].write_text(str(value))
        assert watched.current() == value + 2


def test_an_unchanged_file_gives_the_same_object(paths: tuple[Path, Path]) -> None:
    watched = ReloadingFiles(paths, list)
    assert watched.current() is watched.current()


@pytest.mark.parametrize("break_it", [lambda path: path.write_text("x"), Path.unlink], ids=["other content", "gone"])
def test_a_file_that_breaks_later_keeps_its_value_and_is_logged_once(
    paths: tuple[Path, Path], break_it: object
) -> None:
    watched = ReloadingFiles(paths, number)
    assert callable(break_it)
    break_it(paths[0])
    with capture_logs() as logs:
        assert [watched.current() for _ in range(3)] == [3, 3, 3]
    assert [entry["log_level"] for entry in logs] == ["error"]
    paths[0].write_text("5")
    assert watched.current() == 7


def test_at_the_start_every_file_that_cannot_be_read_is_named(paths: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"1" * (MAX_FILE_BYTES + 1))
    with pytest.raises(BrokenFileError) as caught:
        ReloadingFiles((paths[0], tmp_path / "none", tmp_path, tmp_path / "large"), number)
    assert [fault.split(" cannot be read: ")[0] for fault in caught.value.faults] == [
        str(tmp_path / "none"),
        str(tmp_path),
        str(tmp_path / "large"),
    ]
