"""A server whose processes are killed: address and store stay the same, and orphans are still found."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from loopbench_client import Client
from loopbench_server.workers import process_name
from tests.support.servers import SECONDS_TO_READY, SECONDS_TO_STOP, command_line, is_busy_worker

# A variable of the server's environment, which every process below it inherits, orphans included.
MARK = "LOOPBENCH_TESTS_MARK"


class ServerUnderTest:
    """A server whose processes can be killed by kind."""

    def __init__(self, folder: Path, store_url: str, *flags: str) -> None:
        # A free port at first, and the same port after a restart.
        self.address = "127.0.0.1:0"
        self.folder = folder
        self._mark = str(uuid.uuid4())
        self._command = [sys.executable, "-m", "loopbench_server", "--store-url", store_url]
        self._command += ["--metrics-address", "none", "--tensorboard-dir", str(folder / "tensorboard"), *flags]
        self.process: subprocess.Popen[str] | None = None

    @property
    def log(self) -> str:
        """Complete log of all its servers."""
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Starts the server and returns when it listens; another process may hold the port for a while."""
        end = time.monotonic() + SECONDS_TO_READY
        while not (line := self._begin()):
            assert time.monotonic() < end, f"the server does not start: {self.log[-2000:]}"
            assert "cannot serve on" in self.log, f"the server does not start: {self.log[-2000:]}"
        self.address = line.removeprefix("loopbench-server listening on ").strip()

    def _begin(self) -> str:
        """First log event of the new process; empty if it ended."""
        environment = os.environ | {MARK: self._mark}
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*self._command, "--address", self.address],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:  # it ended
            self.process.communicate()
        return line

    def wait_ready(self) -> None:
        """Returns when the server accepts runs."""
        with Client(self.address) as client:
            client.wait_ready(SECONDS_TO_READY)

    def stop(self) -> int:
        """Stops the server by SIGTERM and returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        self.process.communicate(timeout=SECONDS_TO_STOP)
        return self.process.returncode

    def kill(self) -> None:
        """Kills only the server process."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def processes(self) -> list[psutil.Process]:
        """All processes of its servers, including orphans."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def workers(self) -> list[psutil.Process]:
        """Worker processes, without those that wait for a run."""
        return [process for process in self._below() if is_busy_worker(process)]

    def standby_workers(self) -> list[psutil.Process]:
        """Worker processes that wait for a run."""
        return [process for process in self._below() if process_name.is_standby(process)]

    def forkserver(self) -> list[psutil.Process]:
        """The server's child that forks all workers, once it exists. A worker has the same command line."""
        return [process for process in self._below(recursive=False) if "forkserver" in command_line(process)]

    def _below(self, *, recursive: bool = True) -> list[psutil.Process]:
        assert self.process is not None
        with suppress(psutil.Error):
            return psutil.Process(self.process.pid).children(recursive=recursive)
        return []


def kill(process: psutil.Process) -> bool:
    """Kills a process; returns False if it had already ended."""
    with suppress(psutil.Error):
        process.send_signal(signal.SIGKILL)
        return True
    return False


@contextmanager
def server_under_test(folder: Path, store_url: str, *flags: str, ready: bool = True) -> Iterator[ServerUnderTest]:
    """A running server, stopped at the end of the block; it accepts runs unless ``ready`` is False."""
    made = ServerUnderTest(folder, store_url, *flags)
    made.start()
    try:
        if ready:
            made.wait_ready()
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.stop()
        elif made.process and made.process.stdout:
            made.process.stdout.close()
