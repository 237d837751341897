"""Cache folders of XLA: one per forkserver, and none remains."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# Like the forkserver, until its standard input closes.
KEEPER = """
from loopbench_server.workers import xla_cache
xla_cache.create()
print(xla_cache._folder.name, flush=True)
input()
"""
Keeper = tuple[subprocess.Popen[str], Path]


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Callable[[], Keeper]]:
    """Starts processes that each keep a folder, and returns the folders."""
    with ExitStack() as started:

        def start() -> Keeper:
            process = subprocess.Popen(
                [sys.executable, "-c", KEEPER],
                env=os.environ | {"TMPDIR": str(tmp_path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.enter_context(process)
            started.callback(process.kill)
            assert process.stdout is not None
            return process, Path(process.stdout.readline().strip())

        yield start


def test_a_killed_forkservers_folder_is_removed_and_used_ones_are_kept(
    keeper: Callable[[], Keeper], tmp_path: Path
) -> None:
    (killed, left), (_, used) = keeper(), keeper()
    (left / "function").write_text("code")
    killed.kill()
    killed.wait()
    assert {*tmp_path.iterdir()} == {left, used}
    _, new = keeper()
    assert {*tmp_path.iterdir()} == {used, new}


def test_a_forkserver_removes_its_folder_on_exit(keeper: Callable[[], Keeper], tmp_path: Path) -> None:
    process, folder = keeper()
    assert [*tmp_path.iterdir()] == [folder]
    process.communicate("\n")
    assert [*tmp_path.iterdir()] == []
