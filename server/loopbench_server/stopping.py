"""Signals that stop a program, and a deadline that ends it although something hangs."""

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import suppress

import psutil
import structlog

log = structlog.get_logger()

# Time beyond the drain time until the process is killed; killing takes up to two seconds more.
SHUTDOWN_TIMEOUT_SECONDS = 8.0
LOG_TIMEOUT_SECONDS = 1.0


class StopEvent(asyncio.Event):
    """Set when the program has to end. The deadline begins then, whatever the cause."""

    def __init__(self, deadline: "Deadline") -> None:
        super().__init__()
        self._deadline = deadline

    def set(self) -> None:
        """Begin the deadline and wake up waiters. Call it on the event loop."""
        self._deadline.begin()
        super().set()


class Deadline:
    """Kills the process and its children ``seconds`` after :meth:`begin`.

    The thread exists from the start and needs nothing that may hang: no event loop, no pool, no database.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._read_end, self._write_end = os.pipe()
        threading.Thread(target=self._enforce, daemon=True, name="deadline").start()

    def begin(self) -> None:
        """Start the countdown, once. Safe in a signal handler."""
        os.write(self._write_end, b"b")

    def _enforce(self) -> None:
        os.read(self._read_end, 1)
        time.sleep(self._seconds)
        # On a thread, because standard error may hang as well.
        logging_thread = threading.Thread(target=self._log_threads, daemon=True)
        logging_thread.start()
        logging_thread.join(LOG_TIMEOUT_SECONDS)
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        os._exit(1)

    def _log_threads(self) -> None:
        threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
        log.critical("shutdown deadline exceeded: process killed", seconds=self._seconds, threads=threads)


def make_stop_event(*, on_stdin_eof: bool, drain_seconds: float) -> StopEvent:
    """Return an event that SIGTERM, SIGINT and, if requested, the end of standard input set.

    The process then has ``drain_seconds`` and SHUTDOWN_TIMEOUT_SECONDS to end.
    """
    deadline, loop = Deadline(drain_seconds + SHUTDOWN_TIMEOUT_SECONDS), asyncio.get_running_loop()
    stop = StopEvent(deadline)

    def begin(*_: object) -> None:
        deadline.begin()
        with suppress(RuntimeError):  # the loop may have ended first
            loop.call_soon_threadsafe(stop.set)

    # Not through the event loop, which may hang.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, begin)
    if on_stdin_eof:

        def follow() -> None:
            _read_stdin()
            begin()

        # On a thread, because event loops cannot wait for every kind of standard input.
        threading.Thread(target=follow, daemon=True, name="stdin").start()
    return stop


def _read_stdin() -> None:
    """Return at the end of standard input, and at once if it is closed or cannot be read."""
    with suppress(OSError):
        while sys.stdin and os.read(sys.stdin.fileno(), 4096):
            pass
