"""Standard input, output and error, which may be closed, full or without a reader."""

import os
import sys

STDOUT = 1
# Of /dev/null by stream, in the order of the descriptors. Output fails as on a full disk; the log goes nowhere.
FLAGS = {"stdin": os.O_RDONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}


def open_missing_streams() -> None:
    """Open /dev/null on each of the descriptors 0 to 2 that is closed. Programs call it before they open anything.

    Otherwise the next file or socket would become standard output, and logs would be written into it.
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
