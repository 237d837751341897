"""How many files and connections the process may have open."""

import contextlib
import resource


def raise_fd_limit() -> None:
    """Raises the soft limit of open files to the hard one; every connection is one, and the usual 1,024 are soon taken.

    Where the system refuses, which some do for a hard limit without end, the limit stays as it is.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
