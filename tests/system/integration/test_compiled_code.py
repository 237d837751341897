"""What XLA compiled for one run is there for the next, as long as the server is."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopbench.spec import Dataset, Execution, RunSpec
from loopbench_client import Client

from .conftest import SECONDS_TO_READY, ServerProcess, eventually

SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=1, execution=Execution.XLA)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The server's folder of temporary files.

    With a space, because XLA is told of it in a line of flags; not pytest's, whose path is too long for sockets.
    """
    with tempfile.TemporaryDirectory(prefix="t mp") as folder:
        yield Path(folder)


@pytest.fixture
def server(temporary: Path, start: Any, monkeypatch: pytest.MonkeyPatch) -> ServerProcess:
    monkeypatch.setenv("TMPDIR", str(temporary))
    started: ServerProcess = start()
    with started.client() as client:
        client.wait_ready(SECONDS_TO_READY)
    return started


def folders(temporary: Path) -> list[Path]:
    """Where compiled functions are kept: one, while the server runs."""
    return [*temporary.glob("loopbench-xla-*")]


def kept(temporary: Path) -> dict[str, int]:
    """Names and times of the compiled functions."""
    return {file.name: file.stat().st_mtime_ns for folder in folders(temporary) for file in folder.iterdir()}


def digest(client: Client) -> str:
    result = client.train(SPEC).result
    assert result is not None
    return result.weights_digest


def test_same_bits_without_compiling(server: ServerProcess, temporary: Path) -> None:
    assert not kept(temporary)
    with server.client() as client:
        first = digest(client)
        compiled = kept(temporary)
        assert compiled
        assert digest(client) == first
    assert kept(temporary) == compiled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlasts_the_server(server: ServerProcess, temporary: Path, number: signal.Signals) -> None:
    assert folders(temporary)
    server.process.send_signal(number)
    eventually(lambda: not folders(temporary))


def test_what_is_kept_is_bounded(server: ServerProcess, temporary: Path) -> None:
    (folder,) = folders(temporary)
    for number in range(1_000):
        (folder / f"{number}.pb").touch()
    with server.client() as client:
        assert digest(client)
    assert len(kept(temporary)) == 1_000


def test_runs_leave_no_temporary_files(server: ServerProcess, temporary: Path) -> None:
    before = {*temporary.rglob("*")}
    with server.client() as client:
        assert client.train(SPEC.model_copy(update={"execution": Execution.GRAPH})).result
    assert {*temporary.rglob("*")} == before
