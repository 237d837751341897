"""What a command waits for, and until when: a spinner on a terminal, elsewhere a line once a wait is long."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rich.console import Console

from loopbench_client.cli.output import err, live

# Seconds until a wait counts as long, and between later lines.
LONG_SECONDS = 5.0
AGAIN_SECONDS = 60.0


def until(seconds: float | None) -> str:
    """The time of day after which a wait that starts now ends, for the end of a sentence."""
    if seconds is None:
        return "without a time limit"
    return f"until {datetime.now().astimezone() + timedelta(seconds=seconds):%H:%M:%S} at the latest"


def _line(what: str, seconds: float | None) -> str:
    return f"waiting for {what}, {until(seconds)}"


@contextmanager
def waiting(what: str, seconds: float | None = None) -> Iterator[None]:
    """Shows that the block waits for ``what``, ``seconds`` at most."""
    console, text = err(), _line(what, seconds)
    if console.is_terminal:
        # A terminal without Unicode has no spinner of dots.
        with live(console.status(text, spinner="line" if console.options.ascii_only else "dots")):
            yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_print_lines, args=(console, text, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Announcement:
    """Prints once what a block waits for, if the wait is long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._timer: threading.Timer | None = None

    def start(self, what: str, seconds: float | None = None) -> None:
        """The block waits from now on for ``what``, ``seconds`` at most, and no longer for anything else."""
        self.stop()
        text = _line(what, seconds)
        self._timer = threading.Timer(LONG_SECONDS, self._console.print, (text,), {"soft_wrap": True})
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Prints nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()


_pending: list[Announcement] = []


@contextmanager
def announcing(console: Console, what: str, seconds: float | None = None) -> Iterator[Announcement]:
    """Prints once that the block waits for ``what``, ``seconds`` at most, if the wait is long.

    For a block that shows its progress itself.
    """
    made = Announcement(console)
    _pending.append(made)
    made.start(what, seconds)
    try:
        yield made
    finally:
        _pending.remove(made)
        made.stop()


def retract_announcements() -> None:
    """Prints none of the lines that are due later, because another message says what is waited for."""
    for one in [*_pending]:
        one.stop()


def _print_lines(console: Console, text: str, over: threading.Event) -> None:
    pause = LONG_SECONDS
    while not over.wait(pause):
        console.print(text, soft_wrap=True)
        pause = AGAIN_SECONDS
