"""The standard streams: any encoding, a full disk, a closed pipe, or none at all."""

import codecs
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from loopbench.streams import discard, is_lost_stream, open_missing
from loopbench_client.cli.exit_codes import ExitCode

# What an encoding without these characters gets; any other one is a question mark.
PLAIN = {"±": "+/-", "…": "...", "·": "-", "–": "-", "\N{MINUS SIGN}": "-", "×": "x", "→": "->"}
PLAIN |= {"≠": "!=", "≤": "<=", "≥": ">="}
HANDLER = "loopbench-plain"


def _in_plain_text(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _in_plain_text)


class _Messages:
    """Standard error. What it cannot write is lost, and nothing else: neither the answer nor a run depends on it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text``, or discard it together with all that follows."""
        try:
            return self._stream.write(text)
        except OSError:
            discard(self._stream)
            return len(text)

    def flush(self) -> None:
        """As :meth:`write`."""
        try:
            self._stream.flush()
        except OSError:
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def robust_streams() -> Iterator[None]:
    """Ends the process with a line of text if the block, or the end of it, cannot write its output.

    A closed pipe needs no line: its reader has what it wants.
    """
    open_missing()
    for stream in (sys.stdout, sys.stderr):
        # A stream that a caller of this process has replaced may have no such method, or no descriptor.
        with suppress(AttributeError, OSError):
            stream.reconfigure(errors=HANDLER)  # type: ignore[union-attr]
            # Python cuts off what does not fit into a pipe that does not block.
            os.set_blocking(stream.fileno(), True)
    sys.stderr = _Messages(sys.stderr)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if not is_lost_stream(error):
            raise
        discard(sys.stdout)
        if error.errno != errno.EPIPE:
            print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        sys.exit(ExitCode.OUTPUT_LOST)
