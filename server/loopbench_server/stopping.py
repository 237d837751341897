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
END_SECONDS = 8.0
LOG_SECONDS = 1.0


class Stop(asyncio.Event):
    """Set once the program has to end; from then on it has a limited time, whatever ends it."""

    def __init__(self, deadline: "Deadline") -> None:
        super().__init__()
        self._deadline = deadline

    def set(self) -> None:
        """On the event loop."""
        self._deadline.begin()
        super().set()


class Deadline:
    """Ends the process, and those below it, ``seconds`` after :meth:`begin`.

    It has a thread from the start, and needs nothing that may hang: no event loop, no pool, no database.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun, self._begin = os.pipe()
        threading.Thread(target=self._enforce, daemon=True, name="deadline").start()

    def begin(self) -> None:
        """Start the time, once; also from a signal handler."""
        os.write(self._begin, b"b")

    def _enforce(self) -> None:
        os.read(self._begun, 1)
        time.sleep(self._seconds)
        # On a thread: standard error may hang as well.
        telling = threading.Thread(target=self._tell, daemon=True)
        telling.start()
        telling.join(LOG_SECONDS)
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        os._exit(1)

    def _tell(self) -> None:
        threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
        log.critical("the server does not end by itself: ended at once", seconds=self._seconds, threads=threads)


def stop_event(*, on_stdin_eof: bool, drain_seconds: float) -> Stop:
    """Set by SIGTERM, SIGINT and, where asked for, the end of standard input.

    From then on the process has ``drain_seconds`` and END_SECONDS to end.
    """
    deadline, loop = Deadline(drain_seconds + END_SECONDS), asyncio.get_running_loop()
    stop = Stop(deadline)

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
