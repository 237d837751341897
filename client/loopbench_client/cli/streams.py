"""Standard output and standard error: any encoding, a full disk, a closed pipe."""

import codecs
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from loopbench_client.cli.exit_codes import ExitCode

# What an encoding without these characters gets; any other one is a question mark.
PLAIN = {"±": "+/-", "…": "...", "·": "-", "–": "-", "\N{MINUS SIGN}": "-", "×": "x", "→": "->"}
PLAIN |= {"≠": "!=", "≤": "<=", "≥": ">="}
HANDLER = "loopbench-plain"
# Of a write to a file that has no name here: a stream.
LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF})


def _in_plain_text(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _in_plain_text)


@contextmanager
def robust_streams() -> Iterator[None]:
    """Ends the process with a line of text if the block, or the end of it, cannot write its output.

    A closed pipe needs no line: its reader has what it wants.
    """
    for stream in (sys.stdout, sys.stderr):
        # A stream that a caller of this process has replaced may have no such method.
        with suppress(AttributeError):
            stream.reconfigure(errors=HANDLER)  # type: ignore[union-attr]
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in LOST:
            raise
        _discard(sys.stdout)
        if error.errno != errno.EPIPE:
            _report(error)
        sys.exit(ExitCode.OUTPUT_LOST)


def _report(error: OSError) -> None:
    try:
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Sends what the stream still holds nowhere; otherwise Python reports it again when it exits."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
