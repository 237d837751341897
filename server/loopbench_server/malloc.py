"""How the C library keeps freed memory.

Environment variables of glibc could set the same, but workers would inherit them, and each program that starts a server
would have to set them. Without them a server of 1,000 runs grows by more than 2 %, the benchmark's limit.
"""

import ctypes

# <malloc.h> of glibc.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
# glibc's own value, which stops adapting to what is freed once it is set.
BYTES = 128 * 1024


def tune_malloc() -> None:
    """Has large blocks given back to the system when they are freed, and the others served from one heap.

    A run's weights take a megabyte. Left to itself, glibc would serve such blocks from its heaps after the first was
    freed, and it has up to eight heaps a core, one for every few threads: a server of many runs would grow as each of
    them fragments. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, BYTES)
        mallopt(M_ARENA_MAX, 1)
