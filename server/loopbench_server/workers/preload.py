"""Imports and data that the forkserver loads once, before any fork. Nothing here may initialise a device.

MNIST is verified and scaled here if it is on this machine. Every worker reads the same memory: 220 MB that a run
neither waits for nor allocates.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loopbench_server.workers.engine_import import import_engine

STDERR = 2


def preload(data_dir: Path | None) -> None:
    """Import the engine and load MNIST, from ``data_dir`` or Keras's cache. A failure shows again in each worker."""
    with _silent_stderr(), suppress(Exception):
        import_engine()
        from loopbench.spec import Dataset  # noqa: PLC0415  as below
        from loopbench_server.engine import data  # noqa: PLC0415  inside the block
        from loopbench_server.workers import process, xla_cache  # noqa: F401, PLC0415  as above

        xla_cache.create()
        data.preload(Dataset.MNIST, data_dir)
    # A collection in a worker would write to every object of the forkserver, and so copy 45 MB of memory.
    gc.collect()
    gc.freeze()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard output to standard error, which is for the server's log.

    TensorFlow's libraries print a greeting during their import, before any log level applies.
    """
    kept = os.dup(STDERR)
    discarded = os.open(os.devnull, os.O_WRONLY)
    os.dup2(discarded, STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(discarded)
