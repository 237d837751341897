"""What the forkserver imports and loads once, before any fork. Nothing of it may touch a device.

MNIST is verified and scaled here, if it lies on this machine, and every worker reads the same memory: 220 MB that a run
neither waits for nor takes.

TensorFlow's libraries greet on standard error before any log level applies, and the server's standard error is for
its own log: it is closed to them during the import, and an import that fails will fail again, and be told, in the
worker that needs it.
"""

import os
from contextlib import suppress
from pathlib import Path

STDERR = 2

kept = os.dup(STDERR)
nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, STDERR)
try:
    with suppress(Exception):
        import loopbench_server.engine.diagnosis
        import loopbench_server.engine.evaluation
        import loopbench_server.engine.training
        import loopbench_server.workers.process  # noqa: F401
        from loopbench.spec import Dataset
        from loopbench_server.engine import data
        from loopbench_server.workers import xla_cache

        xla_cache.keep()
        folder = os.environ.get("LOOPBENCH_DATA_DIR")
        data.share(Dataset.MNIST, Path(folder) if folder else None)
finally:
    os.dup2(kept, STDERR)
    os.close(kept)
    os.close(nowhere)
