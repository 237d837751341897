"""Limit of open files and connections of this process."""

import contextlib
import resource


def raise_fd_limit() -> None:
    """Raise the soft limit of open files to the hard limit: each connection takes one, and the usual 1,024 are too few.

    The limit stays as it is where the system refuses, as some systems do for an unlimited hard limit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
