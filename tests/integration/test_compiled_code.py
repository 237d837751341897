"""What XLA compiled for one run is there for the next, as long as the server is."""

import signal
from pathlib import Path
from typing import Any

import pytest

from loopbench.spec import Dataset, Execution, RunSpec
from loopbench_client import Client

from .conftest import SECONDS_TO_READY, ServerProcess, eventually

SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=1, execution=Execution.XLA)


@pytest.fixture
def server(start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerProcess:
    # With a space, because XLA is told of the folder in a line of flags; short, because sockets go there too.
    temporary = tmp_path / "t mp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    started: ServerProcess = start()
    with started.client() as client:
        client.wait_ready(SECONDS_TO_READY)
    return started


def folders(server: ServerProcess) -> list[Path]:
    """Where compiled functions are kept: one, while the server runs."""
    return list((server.folder / "t mp").glob("loopbench-xla-*"))


def kept(server: ServerProcess) -> dict[str, int]:
    """Names and times of the compiled functions."""
    return {file.name: file.stat().st_mtime_ns for folder in folders(server) for file in folder.iterdir()}


def digest(client: Client) -> str:
    result = client.train(SPEC).result
    assert result is not None
    return result.weights_digest


def test_same_bits_without_compiling(server: ServerProcess) -> None:
    assert not kept(server)
    with server.client() as client:
        first = digest(client)
        compiled = kept(server)
        assert compiled
        assert digest(client) == first
    assert kept(server) == compiled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlasts_the_server(server: ServerProcess, number: signal.Signals) -> None:
    assert folders(server)
    server.process.send_signal(number)
    eventually(lambda: not folders(server))


def test_what_is_kept_is_bounded(server: ServerProcess) -> None:
    (folder,) = folders(server)
    for number in range(1_000):
        (folder / f"{number}.pb").touch()
    with server.client() as client:
        assert digest(client)
    assert len(kept(server)) == 1_000
