"""Real server processes on loopback, started as a user starts them."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from loopbench_client import Client, Tls
from loopbench_server.security.tokens import Role, new_token
from loopbench_server.workers import process_name

# Seconds. Far longer than any action takes on a busy machine.
SECONDS_TO_READY = 300
SECONDS_TO_STOP = 300
TIMEOUT_SECONDS = 120.0
# Flags of servers that several tests share.
SHARED_FLAGS = ("--slots", "2", "--metrics-address", "127.0.0.1:0", "--log-level", "debug")


def json_lines(text: str) -> list[dict[str, Any]]:
    """Log events of a program; an incomplete last line is ignored."""
    lines = text.splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


@dataclass
class ServerProcess:
    """A server process with its address, its folder and its clients' access."""

    process: subprocess.Popen[str]
    address: str
    folder: Path
    tls: Tls | None = None
    # The token of each role, if the server requires tokens.
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self) -> Client:
        """A client with full access."""
        return Client(self.address, token=self.tokens.get("write"), tls=self.tls)

    def channel(self, role: str | None = "write") -> grpc.Channel:
        """A channel for calls without the project's client, with the token of ``role`` if there is one."""
        if self.tls is None:
            return grpc.insecure_channel(self.address)
        assert self.tls.ca is not None
        credentials = grpc.ssl_channel_credentials(Path(self.tls.ca).read_bytes())
        if role:
            token = grpc.access_token_call_credentials(self.tokens[role])
            credentials = grpc.composite_channel_credentials(credentials, token)
        return grpc.secure_channel(self.address, credentials)

    def environment(self, role: str | None = "write") -> dict[str, str]:
        """Variables for the command line, with the token of ``role`` if there is one."""
        found = os.environ | {"LOOPBENCH_SERVER": self.address}
        if self.tls is not None:
            found["LOOPBENCH_TLS_CA"] = str(self.tls.ca)
        if role in self.tokens:
            found["LOOPBENCH_TOKEN"] = self.tokens[role]
        return found

    def wait_ready(self) -> None:
        """Returns when the server accepts runs."""
        with self.client() as client:
            client.wait_ready(SECONDS_TO_READY)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def events(self) -> list[dict[str, Any]]:
        """Log events of the server process."""
        return json_lines(self.log())

    def faults(self) -> list[dict[str, Any]]:
        """Log events of internal errors, without those of runs and requests."""
        serious = [event for event in self.events() if event["level"] in ("error", "critical")]
        return [event for event in serious if event["event"] != "run failed"]

    def listening(self) -> dict[str, Any]:
        """The server's addresses."""
        *_, event = (event for event in self.events() if event["event"] == "listening")
        return event

    def metrics(self) -> list[str]:
        """The lines of the server's metrics."""
        address = self.listening()["metrics_address"]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=TIMEOUT_SECONDS) as response:
            return str(response.read().decode()).splitlines()

    def processes(self) -> list[psutil.Process]:
        """All processes below the server."""
        return self._children(recursive=True)

    def _children(self, *, recursive: bool) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return psutil.Process(self.process.pid).children(recursive=recursive)
        return []

    def workers(self) -> list[psutil.Process]:
        """Worker processes: the forkserver's children, without those that wait for a run."""
        return [child for child in self.processes() if is_busy_worker(child)]

    def standby_workers(self) -> list[psutil.Process]:
        """Worker processes that wait for a run."""
        return [child for child in self.processes() if process_name.is_standby(child)]

    def forkserver(self) -> psutil.Process:
        """The server's child that forks workers. A worker has the same command line."""
        (found,) = [child for child in self._children(recursive=False) if "forkserver" in command_line(child)]
        return found


def is_busy_worker(process: psutil.Process) -> bool:
    """Whether the process is a worker with a task; only workers have a niceness."""
    return niceness(process) > os.nice(0) and not process_name.is_standby(process)


def niceness(process: psutil.Process) -> int:
    """The niceness of a process; -1 once it has ended."""
    with suppress(psutil.Error):
        return process.nice()
    return -1


def command_line(process: psutil.Process) -> str:
    """The command line of a process; empty once it has ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def eventually(condition: Callable[[], object], timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    end = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.05)


Start = Callable[..., ServerProcess]
# The command of a server that keeps its files in the folder; flags follow.
Deployment = Callable[[Path], list[str]]


def as_process(_: Path) -> list[str]:
    """This checkout's server as a process of this machine."""
    return [sys.executable, "-m", "loopbench_server"]


def start_server(folder: Path, *flags: str, deployment: Deployment = as_process) -> ServerProcess:
    command = [*deployment(folder), "--address", "127.0.0.1:0", "--metrics-address", "none"]
    command += ["--store-url", f"sqlite:///{folder / 'runs.db'}", "--tensorboard-dir", str(folder / "tensorboard")]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | {"NO_COLOR": "1"}
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the server does not start: {(folder / 'log').read_text()[-2000:]}"
    return ServerProcess(process, line.removeprefix("loopbench-server listening on ").strip(), folder)


def stop_server(server: ServerProcess) -> None:
    server.process.terminate()
    server.process.communicate(timeout=SECONDS_TO_STOP)


def guarded_server(folder: Path, *flags: str, deployment: Deployment = as_process) -> ServerProcess:
    """A server with TLS, tokens, and ports for metrics and health."""
    # A machine that is lent for the tests of GPUs need not have the library that makes certificates.
    from tests.support.certificates import Authority  # noqa: PLC0415

    authority = Authority(folder / "certificates")
    pair = authority.issue("server")
    pair.key.chmod(0o644)  # a container's user is nobody on this machine
    made = {role: new_token(role, Role[role.upper()]) for role in ("read", "write")}
    (folder / "tokens").write_text("".join(f"{token.line}\n" for _, token in made.values()))
    access = (*pair.flags, "--tokens-file", str(folder / "tokens"), "--health-address", "127.0.0.1:0")
    started = start_server(folder, *SHARED_FLAGS, *access, *flags, deployment=deployment)
    started.tls = Tls(authority.certificate)
    started.tokens = {role: secret for role, (secret, _) in made.items()}
    return started


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    """How servers are started; tests/system/contract has another such fixture."""
    return as_process


@pytest.fixture
def start(tmp_path: Path, deployment: Deployment) -> Iterator[Start]:
    """Starts servers in the test's folder that are stopped after the test."""
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
    """One server for all tests that do not stop or change it."""
    running = start_server(tmp_path_factory.mktemp("server"), *SHARED_FLAGS, deployment=deployment)
    running.wait_ready()
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[ServerProcess]:
    """One server with TLS, tokens and all ports, for all tests that do not stop or change it."""
    running = guarded_server(tmp_path_factory.mktemp("server"), deployment=deployment)
    running.wait_ready()
    yield running
    stop_server(running)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with server.client() as connected:
        yield connected


class Peers:
    """Servers on one store by number; a server starts when a test requests it and it does not run."""

    def __init__(self, start: Callable[[int], ServerProcess], running: dict[int, ServerProcess] | None = None) -> None:
        self._start = start
        # Servers that others stop.
        self._kept = running or {}
        self._started: dict[int, ServerProcess] = {}

    def __getitem__(self, number: int) -> ServerProcess:
        if number in self._kept:
            return self._kept[number]
        if number not in self._started or self._started[number].process.poll() is not None:
            self._stop(number)
            self._started[number] = self._start(number)
            self._started[number].wait_ready()
        return self._started[number]

    def _stop(self, number: int) -> None:
        server = self._started.pop(number, None)
        if server is None:
            return
        if server.process.poll() is None:
            stop_server(server)
        if server.process.stdout:
            server.process.stdout.close()

    def stop(self) -> None:
        for number in [*self._started]:
            self._stop(number)
