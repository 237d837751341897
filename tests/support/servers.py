"""A real server process on loopback, started as a user starts it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopbench_client import Client

SECONDS_TO_READY = 120
PATIENCE = 30.0


def json_lines(text: str) -> list[dict[str, Any]]:
    """What a program has logged. A line without its end is being written still."""
    lines = text.splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


@dataclass
class ServerProcess:
    """The process, the address it serves on, and the folder it keeps everything in."""

    process: subprocess.Popen[str]
    address: str
    folder: Path

    def client(self) -> Client:
        return Client(self.address)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def events(self) -> list[dict[str, Any]]:
        """The lines that the server itself has written to its log."""
        return json_lines(self.log())

    def faults(self) -> list[dict[str, Any]]:
        """What the server says went wrong with itself, and not with a run or a request."""
        serious = [event for event in self.events() if event["level"] in ("error", "critical")]
        return [event for event in serious if event["event"] != "run failed"]

    def workers(self) -> list[psutil.Process]:
        """The processes below the server that train: the forkserver's children."""
        own = psutil.Process(self.process.pid)
        return [child for child in own.children(recursive=True) if _nice(child) > own.nice()]


def _nice(process: psutil.Process) -> int:
    with suppress(psutil.Error):  # it may have ended since it was found
        return process.nice()
    return -1


def eventually(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


Start = Callable[..., ServerProcess]
# The words that start a server which keeps everything in the folder; its flags follow them.
Deployment = Callable[[Path], list[str]]


def as_process(_: Path) -> list[str]:
    """This checkout's server, as a process of this machine."""
    return [sys.executable, "-m", "loopbench_server"]


def start_server(folder: Path, *flags: str, deployment: Deployment = as_process) -> ServerProcess:
    command = [*deployment(folder), "--address", "127.0.0.1:0", "--metrics-address", "none"]
    command += ["--store-url", f"sqlite:///{folder / 'runs.db'}", "--tensorboard-dir", str(folder / "tensorboard")]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | {"NO_COLOR": "1"}
        )
    assert process.stdout is not None
    address = process.stdout.readline().removeprefix("loopbench-server listening on ").strip()
    return ServerProcess(process, address, folder)


def stop_server(server: ServerProcess) -> None:
    server.process.terminate()
    server.process.communicate(timeout=60)


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    """How servers are started; tests/contract has another such fixture."""
    return as_process


@pytest.fixture
def start(tmp_path: Path, deployment: Deployment) -> Iterator[Start]:
    """Starts servers that are stopped after the test; they share the test's folder."""
    started: list[ServerProcess] = []

    def begin(*flags: str) -> ServerProcess:
        started.append(start_server(tmp_path, *flags, deployment=deployment))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            stop_server(server)
        server.process.communicate()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[ServerProcess]:
    """One server for all tests that leave it as it is."""
    running = start_server(tmp_path_factory.mktemp("server"), deployment=deployment)
    with running.client() as client:
        client.wait_ready(SECONDS_TO_READY)
    yield running
    stop_server(running)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with server.client() as connected:
        yield connected
