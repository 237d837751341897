"""An embedded server on loopback, for trying things out with one command."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import platformdirs

from loopbench.addresses import loopback_host
from loopbench_client.access import TOKEN_VARIABLE, VARIABLES
from loopbench_client.client import Client
from loopbench_client.errors import EmbeddedServerError, ServerUnavailableError

# What only the server extra brings; the modules are looked for, never imported.
REQUIRED = ("loopbench_server", "tensorflow")

COMMAND = (sys.executable, "-m", "loopbench_server")
FLAGS = ("--metrics-address", "none", "--exit-on-stdin-eof")
# Variables of a shared server or of its clients on this machine; the embedded server listens on loopback.
OF_OTHER_SERVERS = frozenset(
    {
        *("LOOPBENCH_TLS_CERTIFICATE", "LOOPBENCH_TLS_KEY", "LOOPBENCH_TLS_CLIENT_CA", "LOOPBENCH_TOKENS_FILE"),
        *("LOOPBENCH_HEALTH_ADDRESS", TOKEN_VARIABLE, *VARIABLES.values()),
    }
)
LISTENING = "loopbench-server listening on "
LOG_LINES = 15

# Seconds. A server that receives SIGTERM first drains its runs.
START_TIMEOUT = 60.0
READY_TIMEOUT = 180.0
DRAIN_TIMEOUT = 20.0
TERMINATE_TIMEOUT = 5.0

HINT = "name a server with --server HOST:PORT or LOOPBENCH_SERVER, or install keras-loopbench with its extra 'server'"


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server: its HOST:PORT, its process and the file of its log."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_ready(self, client: Client, timeout: float = READY_TIMEOUT) -> None:
        """Waits until the server takes runs, and no longer than its process lives.

        Raises:
            EmbeddedServerError: the process has ended.
            ServerUnavailableError: the server is not ready within ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while True:
            try:
                client.wait_ready(1.0)
            except ServerUnavailableError:
                if self.process.poll() is not None:
                    raise _failure("the server ended", self.process, self.log) from None
                if time.monotonic() >= end:
                    raise
            else:
                return


@contextmanager
def embedded_server(start_timeout: float = START_TIMEOUT) -> Iterator[EmbeddedServer]:
    """Starts a server, which ends with the block, and with this process however that ends.

    Raises:
        EmbeddedServerError: the server is not installed, or does not listen within ``start_timeout`` seconds.
    """
    check_server_is_installed()
    # One for each process that starts a server: several may at once.
    log = log_file(f"server-{os.getpid()}")
    with open_log(log) as stderr:
        # The server watches its stdin, so that it ends even where this process is killed. It has a separate session:
        # Ctrl-C is for the client, which cancels its run and then lets the server go.
        process = subprocess.Popen(  # noqa: S603  # nosec B603  # a fixed command
            [*COMMAND, "--address", _any_port(), *FLAGS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env=environment_of_own(),
        )
    try:
        yield EmbeddedServer(_address(process, start_timeout, log), process, log)
    finally:
        _stop(process)
        if process.returncode == 0:
            log.unlink(missing_ok=True)


def _any_port() -> str:
    host = loopback_host()
    return f"[{host}]:0" if ":" in host else f"{host}:0"


def check_server_is_installed() -> None:
    """Looks for what the extra 'server' installs.

    Raises:
        EmbeddedServerError: it is not there.
    """
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        raise EmbeddedServerError(f"there is no server to start here: {', '.join(missing)} not installed", hint=HINT)


def environment_of_own() -> dict[str, str]:
    """The environment for what is started here, for loopback."""
    return {name: value for name, value in os.environ.items() if name not in OF_OTHER_SERVERS}


def log_file(name: str) -> Path:
    """Where something that is started here logs, from its beginning.

    Raises:
        EmbeddedServerError: no log can be written.
    """
    with _writing_a_log():
        file = platformdirs.user_log_path("loopbench", ensure_exists=True) / f"{name}.log"
        file.unlink(missing_ok=True)
    return file


def open_log(file: Path) -> BinaryIO:
    """The log, for more lines at its end.

    Raises:
        EmbeddedServerError: it cannot be written.
    """
    with _writing_a_log():
        return file.open("ab")


@contextmanager
def _writing_a_log() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise EmbeddedServerError(
            f"the log of a server started here cannot be written: {error.strerror}{where}", hint=HINT
        ) from error


def _address(process: subprocess.Popen[bytes], timeout: float, log: Path) -> str:
    """The address in the first line that the server prints."""
    assert process.stdout is not None
    lines: queue.Queue[bytes] = queue.Queue()
    # A thread, because a pipe cannot be read with a timeout.
    threading.Thread(target=lambda pipe: lines.put(pipe.readline()), args=(process.stdout,), daemon=True).start()
    try:
        line = lines.get(timeout=timeout).decode().strip()
    except queue.Empty:
        raise _failure(f"the server did not listen within {timeout:g} s", process, log) from None
    if not line.startswith(LISTENING):
        _stop(process)
        raise _failure("the server did not start", process, log)
    return line.removeprefix(LISTENING)


def _failure(what: str, process: subprocess.Popen[bytes], log: Path) -> EmbeddedServerError:
    tail = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    code = "still running" if process.poll() is None else f"exit code {process.returncode}"
    return EmbeddedServerError("\n".join([f"{what} ({code}); the end of {log}:", *tail]), hint=HINT)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Lets the server drain and waits for it; with growing insistence."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    for timeout, insist in ((DRAIN_TIMEOUT, process.terminate), (TERMINATE_TIMEOUT, process.kill)):
        try:
            process.wait(timeout)
            break
        except subprocess.TimeoutExpired:
            insist()
    process.wait()
    process.stdout.close()
