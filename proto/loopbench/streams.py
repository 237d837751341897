"""Standard input, output and error, which may be closed, full or without a reader."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

# Exit code of every program whose output cannot be written.
OUTPUT_LOST = 10
STDOUT = 1
# Of /dev/null by stream, in the order of the descriptors. Output fails as on a full disk; messages go nowhere.
FLAGS = {"stdin": os.O_RDONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}
# Of a write to a file that has no name here: a stream.
LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF})


def is_lost_stream(error: OSError) -> bool:
    """Whether a stream of the process, and not a named file, could not be written."""
    return error.filename is None and error.errno in LOST


def open_missing() -> None:
    """Open /dev/null on each of the descriptors 0 to 2 that is closed. Programs call it before they open anything.

    Otherwise the next file or socket would become standard output, and messages would be written into it.
    """
    for number, (name, flags) in enumerate(FLAGS.items()):
        try:
            os.fstat(number)
        except OSError:
            # The system takes the lowest free number.
            os.set_inheritable(os.open(os.devnull, flags), True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def write_line(line: str) -> None:
    """Write ``line`` to standard output at once, and bytes that its encoding does not have as they are.

    Python's own stream would keep a line that it cannot write, and fail again at the end of the program.

    Raises:
        OSError: standard output is closed, full or has no reader.
    """
    rest = os.fsencode(f"{line}\n")
    while rest:
        rest = rest[os.write(STDOUT, rest) :]


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
