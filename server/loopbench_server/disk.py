"""Whether a folder takes files: the one way that notices space, inodes, quotas, limits and rights alike."""

import errno
import tempfile
from pathlib import Path

# More than a run's temporary files, and the logs of an epoch, take.
PROBE_BYTES = 1 << 20
# Errors that free space cures, by whatever limit: of the file system, of a quota, of the process.
NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def check_writable(folder: Path | str) -> None:
    """Write a file of PROBE_BYTES into ``folder`` and remove it.

    Raises:
        OSError: ``folder`` does not take it.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix="probe-", buffering=0) as file:
        data = memoryview(bytes(PROBE_BYTES))
        while data:  # a file system that is nearly full takes a part
            data = data[file.write(data) :]
