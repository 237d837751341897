"""What the failure of an index means for it and for the others, wherever they run."""

from loopbench.sweep import IndexExit

# How often an index is tried again.
RETRIES = 3
# Exit codes after which it is not.
HOPELESS = (IndexExit.HOPELESS,)


def most_failed(size: int) -> int:
    """How many of ``size`` indices may fail; after more, what is wrong is wrong with all, and the sweep ends."""
    return max(1, size // 2)


def is_final(code: int, tries: int) -> bool:
    """Whether an index has ended whose last of ``tries`` attempts ended with ``code``."""
    return code == IndexExit.DONE or code in HOPELESS or tries > RETRIES
