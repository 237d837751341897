"""Signals that ask a program to end.

Ctrl-C, systemd and container runtimes send them to every process of a group. Only the server decides: its forkserver
and its workers ignore them, so that runs can end during a drain. SIGKILL ends a worker.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def blocked() -> Iterator[None]:
    """Block the signals on this thread; a process that starts in the block has them blocked from its first moment.

    The signals that arrive meanwhile take effect after the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore() -> None:
    """Ignore the signals in this process, and unblock them: its children ignore them as well."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
