"""How the C library keeps freed memory."""

import ctypes

# <malloc.h> of glibc.
M_MMAP_THRESHOLD = -3
# glibc's own value, which stops adapting to what is freed once it is set.
BYTES = 128 * 1024


def return_large_blocks() -> None:
    """Has every block that is larger given back to the system when it is freed.

    A run's weights take a megabyte. Left to itself, glibc would serve such blocks from its heaps after the first was
    freed, and a server of many runs would grow as those fragment. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, BYTES)
