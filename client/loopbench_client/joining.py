"""Waiting for threads."""

import time
from collections.abc import Iterable
from threading import Thread


def join_all(threads: Iterable[Thread], timeout: float) -> None:
    """Wait until all threads have ended, but no longer than ``timeout`` seconds in all."""
    end = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
