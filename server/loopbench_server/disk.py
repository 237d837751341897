"""Checks that a folder accepts files: a write is the only check that covers space, inodes, quotas and permissions."""

import errno
import tempfile
from pathlib import Path

# More than the temporary files of a run, and the logs of an epoch, take.
PROBE_BYTES = 1 << 20
# Errors that free space resolves, whichever limit caused them: of the file system, a quota or the process.
NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def check_writable(folder: Path | str) -> None:
    """Write a file of PROBE_BYTES into ``folder`` and remove it.

    Raises:
        OSError: the folder does not accept the file.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix="probe-", buffering=0) as file:
        data = memoryview(bytes(PROBE_BYTES))
        while data:  # a nearly full file system accepts a part
            data = data[file.write(data) :]
