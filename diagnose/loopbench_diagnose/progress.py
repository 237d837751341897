"""Shows which experiment is in progress, on one line that the next one replaces."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

# (experiment, number done, number in all): called before each experiment. The total may grow.
Progress = Callable[[str, int, int], None]

# To the beginning of the line, and clear it.
CLEAR = "\r\x1b[K"
# Columns of a terminal; a longer text would begin a second line, which CLEAR does not reach.
WIDTH = 78


def silent(experiment: str, done: int, total: int) -> None:
    """Shows nothing."""


@contextmanager
def shown(progress: Progress | None, stream: TextIO | None = None) -> Iterator[Progress]:
    """``progress`` itself; for None a line on ``stream``, stderr by default, if people look at it there.

    That is a terminal or a notebook. The line is cleared at the end of the block.
    """
    out = sys.stderr if stream is None else stream
    if progress is not None:
        yield progress
    elif not _is_watched(out):
        yield silent
    else:
        try:
            yield lambda experiment, done, total: _show(out, f"diagnosing, {done + 1} of {total}: {experiment}")
        finally:
            _show(out, "")


def _is_watched(stream: TextIO) -> bool:
    return stream.isatty() or type(stream).__module__.startswith("ipykernel")


def _show(stream: TextIO, text: str) -> None:
    stream.write(f"{CLEAR}{text[:WIDTH]}")
    stream.flush()
