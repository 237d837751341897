"""The signals that stop a program, and a deadline after which it ends although something hangs."""

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

# Seconds beyond the drain time that an end may take; another two pass at most until the process is gone.
SHUTDOWN_TIMEOUT_SECONDS = 8.0
LOG_TIMEOUT_SECONDS = 1.0


class Deadline:
    """Ends the process, and those below it, ``seconds`` after :meth:`begin`.

    It has a thread from the start, and needs nothing that may hang: no event loop, no pool, no database.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._read_end, self._write_end = os.pipe()
        threading.Thread(target=self._enforce, daemon=True, name="deadline").start()

    def begin(self) -> None:
        """Start the time, once; also from a signal handler."""
        os.write(self._write_end, b"b")

    def _enforce(self) -> None:
        os.read(self._read_end, 1)
        time.sleep(self._seconds)
        # On a thread: standard error may hang as well.
        telling = threading.Thread(target=self._log_threads, daemon=True)
        telling.start()
        telling.join(LOG_TIMEOUT_SECONDS)
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        os._exit(1)

    def _log_threads(self) -> None:
        threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
        log.critical("the server does not end by itself: ended at once", seconds=self._seconds, threads=threads)


def make_stop_event(*, on_stdin_eof: bool, drain_seconds: float) -> asyncio.Event:
    """Set by SIGTERM, SIGINT and, where asked for, the end of standard input.

    From then on the process has ``drain_seconds`` and SHUTDOWN_TIMEOUT_SECONDS to end.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    deadline = Deadline(drain_seconds + SHUTDOWN_TIMEOUT_SECONDS)

    def begin(*_: object) -> None:
        deadline.begin()
        with suppress(RuntimeError):  # the loop may have ended first
            loop.call_soon_threadsafe(stop.set)

    # Not by the event loop, which may hang.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, begin)
    if on_stdin_eof:

        def read() -> None:
            # On a thread, because not everything that standard input may be can be waited for by an event loop.
            while os.read(sys.stdin.fileno(), 4096):
                pass
            begin()

        threading.Thread(target=read, daemon=True, name="stdin").start()
    return stop
