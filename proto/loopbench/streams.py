"""Standard output that may be lost: a full disk, a closed pipe, or none at all."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

# Exit code of every program whose output cannot be written.
OUTPUT_LOST = 10
# Of a write to a file that has no name here: a stream.
LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF})


def is_lost_stream(error: OSError) -> bool:
    """Whether a stream of the process, and not a named file, could not be written."""
    return error.filename is None and error.errno in LOST


def open_missing() -> None:
    """Give the process the streams that its caller has closed: nothing to read, and errors for what is written."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # For reading, so that a write fails as it does for other programs.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY), "w"))


def discard(stream: TextIO) -> None:
    """Send what the stream still holds nowhere; otherwise Python reports it again when it exits."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Output:
    """Standard output that remembers its first failure, because argparse ignores it."""

    def __init__(self, stream: TextIO) -> None:
        self.failure: OSError | None = None
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text`` at once."""
        try:
            written = self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            self.failure = self.failure or error
            raise
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def checked_output(program: str, consequence: str = "") -> Iterator[None]:
    """End the process with exit code 10 and one line if the block cannot write its output.

    The line names the ``program`` and, where there is one, the ``consequence``.
    """
    open_missing()
    stream = sys.stdout
    output = _Output(stream)
    sys.stdout = output
    try:
        try:
            yield
        finally:
            sys.stdout = stream
            stream.flush()
    except OSError as error:
        if not is_lost_stream(error):
            raise
        output.failure = error
    finally:
        if output.failure is not None:
            discard(stream)
            line = f"{program}: the output cannot be written: {output.failure.strerror}{consequence}"
            with suppress(OSError):
                print(line, file=sys.stderr, flush=True)  # noqa: T201  the message of a program
            sys.exit(OUTPUT_LOST)
