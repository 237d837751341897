"""Containers of the image, started by its entrypoint and command, with folders for its state."""

import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopbench_client import Client
from tests.support.containers import Image, image
from tests.support.servers import SECONDS_TO_READY

__all__ = ["image"]

# On this machine's network, on free ports.
ENVIRONMENT = {"LOOPBENCH_ADDRESS": "127.0.0.1:0", "LOOPBENCH_METRICS_ADDRESS": "none"}

# Seconds within which a container must stop on a busy machine.
TIMEOUT_SECONDS = 300


def asked(question: Callable[[], Any]) -> Any:
    """Attribute of a process; None if it has ended."""
    try:
        return question()
    except psutil.Error:
        return None


@dataclass
class Container:
    """A container by its name, and the engine's command that runs it in the foreground and ends as it does."""

    image: Image
    name: str
    command: subprocess.Popen[str]
    address: str

    def client(self) -> Client:
        return Client(self.address)

    def init(self) -> psutil.Process:
        """Process 1 of the container, as this machine sees it."""
        return psutil.Process(int(self.image.ask("inspect", "--format={{.State.Pid}}", self.name)))

    def all(self) -> list[psutil.Process]:
        """Processes below process 1; they may end at any time."""
        return self.init().children(recursive=True)

    def below(self, words: str) -> list[psutil.Process]:
        """Processes of the container whose command line contains ``words``."""
        return [process for process in self.all() if words in " ".join(asked(process.cmdline) or [])]

    def kill(self, process: psutil.Process) -> None:
        """Kills a process as the image's user from inside, because on this machine only root may."""
        status = Path(f"/proc/{process.pid}/status").read_text()
        *_, inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
        self.image.ask("exec", self.name, "sh", "-c", f"kill -9 {inside}")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to process 1, like ``docker stop`` and the kubelet."""
        self.image.ask("kill", f"--signal={number.name}", self.name)

    def wait(self) -> int:
        """Waits for the container's end and returns the exit code."""
        return self.command.wait(timeout=TIMEOUT_SECONDS)


Start = Callable[..., Container]


def writable(folder: Path) -> dict[str, Path]:
    """Folders that the image writes to, by their paths in the container."""
    made = {f"/{name}": folder / name for name in ("var/lib/loopbench", "home/loopbench")}
    for path in made.values():
        path.mkdir(parents=True)
        path.chmod(0o777)  # the image's user is nobody on this machine
    return made


@contextmanager
def starting(image: Image, folders: dict[str, Path]) -> Iterator[Start]:
    """Yields a function that starts servers on the shared ``folders``; stops them after the block.

    The function passes its arguments to ``Image.command``; ``environment`` and ``mounts`` extend those of
    every server.
    """
    started: list[Container] = []

    def begin(
        *, environment: dict[str, str] | None = None, mounts: dict[str, Path] | None = None, **settings: Any
    ) -> Container:
        name = f"loopbench-test-{uuid.uuid4()}"
        settings["flags"] = [f"--name={name}", *settings.get("flags", [])]
        settings |= {"environment": ENVIRONMENT | (environment or {}), "mounts": folders | (mounts or {})}
        process = subprocess.Popen(image.command(**settings), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("loopbench-server listening on ").strip()
        started.append(Container(image, name, process, address))
        return started[-1]

    try:
        yield begin
    finally:
        for container in started:
            if container.command.poll() is None:
                container.send(signal.SIGTERM)
            container.command.communicate(timeout=TIMEOUT_SECONDS)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return writable(tmp_path)


@pytest.fixture
def start(image: Image, folders: dict[str, Path]) -> Iterator[Start]:
    """Starts servers that share the test's folders."""
    with starting(image, folders) as begin:
        yield begin


@pytest.fixture(scope="module")
def server(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """One server for all tests of a file that do not stop it."""
    with starting(image, writable(tmp_path_factory.mktemp("server"))) as begin:
        container = begin()
        with container.client() as client:
            client.wait_ready(SECONDS_TO_READY)
        yield container
