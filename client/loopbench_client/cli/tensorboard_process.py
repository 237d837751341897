"""TensorBoard as a child process, on loopback."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopbench.addresses import loopback_host
from loopbench_client.errors import ErrorDetails, LoopbenchError

# It ends when its stdin does, and so with this process however that ends.
PROGRAM = """
import os, signal, threading

def end_with_stdin():
    # Not by sys.stdin: a thread that holds its lock aborts an interpreter that exits.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end_with_stdin, daemon=True).start()
from tensorboard.main import run_main
run_main()
"""
ADDRESS = re.compile(r"TensorBoard \S+ at (http://\S+)")
LOG_LINES = 15

# Seconds. TensorBoard imports TensorFlow where that is installed.
START_TIMEOUT = 120.0
STOP_TIMEOUT = 5.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class TensorBoard:
    """The process and the file of its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_ready(self) -> str:
        """Waits until it serves, and returns the address to open.

        Raises:
            LoopbenchError: it ended, or does not serve in time.
        """
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            found = ADDRESS.search(self.log.read_text(errors="replace"))
            if found:
                return found[1]
            time.sleep(POLL_SECONDS)
        raise self._failure("TensorBoard did not start")

    def wait_ended(self) -> None:
        """Waits as long as it serves.

        Raises:
            LoopbenchError: it ended, which nobody asked it to.
        """
        self.process.wait()
        raise self._failure("TensorBoard ended")

    def _failure(self, what: str) -> LoopbenchError:
        tail = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return LoopbenchError(ErrorDetails("\n".join([f"{what}; the end of its log:", *tail]), "TENSORBOARD_ENDED"))


@contextmanager
def tensorboard_process(logs: Path, port: int, log: Path) -> Iterator[TensorBoard]:
    """Starts TensorBoard on ``logs``, which ends with the block; port 0 takes a free one."""
    command = [sys.executable, "-c", PROGRAM, "--logdir", str(logs), "--host", loopback_host(), "--port", str(port)]
    with log.open("wb") as output:
        # A separate session: Ctrl-C is for this process, which lets it go.
        process = subprocess.Popen(  # noqa: S603  # nosec B603  # a fixed program
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield TensorBoard(process, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
