"""Text of a worker's error for callers: one line, of limited length, without paths of this machine."""

from loopbench.text import ESCAPE_SEQUENCE, one_line
from loopbench_server.workers.redaction import redact_paths

# Characters of an error that are stored; errors of TensorFlow may have many kilobytes. The log has the traceback.
MAX_MESSAGE_LENGTH = 2_000


def make_message(text: str, *folders: str) -> str:
    """Return ``text`` for a caller; paths below ``folders`` are hidden whatever characters their names have."""
    line = one_line(redact_paths(ESCAPE_SEQUENCE.sub("", text), *folders))
    printable = "".join(character if character.isprintable() else "?" for character in line)
    return printable if len(printable) <= MAX_MESSAGE_LENGTH else f"{printable[:MAX_MESSAGE_LENGTH]}..."
