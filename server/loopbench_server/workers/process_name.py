"""Names of worker processes, by which the metrics and ``ps -o pid,comm`` distinguish them. Linux only."""

from contextlib import suppress
from pathlib import Path

import psutil

# At most 15 characters. A process without a task is a standby worker, if only for a moment.
WORKER, STANDBY = "worker", "standby-worker"


def set_own(name: str) -> None:
    """Set the name of this process."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def is_standby(process: psutil.Process) -> bool:
    """Return whether ``process`` has no task yet; False if it has ended."""
    with suppress(psutil.Error):
        return process.name() == STANDBY
    return False
