"""Temporary files of a worker on a full disk."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from loopbench_server.disk import check_writable
from loopbench_server.errors import DatasetCorruptError, TemporaryFolderError
from loopbench_server.workers.scratch import scratch
from tests.support.limits import full_disk


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_files_of_a_block_go_with_it(tmp_path: Path) -> None:
    with scratch():
        folder = Path(tempfile.gettempdir())
        (folder / "file").write_text("")
        assert folder.parent == tmp_path
    assert [*tmp_path.iterdir()] == []


def test_a_full_folder_is_named_before_the_block(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(TemporaryFolderError, match="TMPDIR") as caught, scratch():
        pytest.fail("the block is not to begin")
    assert caught.value.retryable
    assert str(tmp_path) not in str(caught.value)
    with scratch():
        pass


def test_a_missing_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(TemporaryFolderError) as caught, scratch():
        pass
    assert str(tmp_path) not in str(caught.value)


def _fail_while_full(filled: ExitStack) -> None:
    with scratch():
        filled.enter_context(full_disk())
        raise TypeError("Iterating over a symbolic tensor is not allowed")


def test_an_error_while_the_folder_is_full_is_not_one_of_the_loop() -> None:
    # Like AutoGraph, which leaves a loop unchanged if it cannot write.
    with ExitStack() as filled, pytest.raises(TemporaryFolderError) as caught:
        _fail_while_full(filled)
    assert isinstance(caught.value.__context__, OSError)


@pytest.mark.parametrize("error", [TypeError("a fault of the loop"), DatasetCorruptError("no archive")])
def test_other_errors_are_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, scratch():
        raise error
    assert caught.value is error


def test_a_probe_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path)
    with full_disk(), pytest.raises(OSError, match="too large"):
        check_writable(tmp_path)
    assert [*tmp_path.iterdir()] == []
