"""Files that are written whole or not at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``. If that fails, a file that is there stays as it is.

    A device, a pipe, and a file in a folder that takes no other one are written directly.

    Raises:
        OSError: the file cannot be written.
    """
    target = path.resolve()  # a link stays a link
    is_special = target.exists() and not target.is_file()
    if is_special or not os.access(target.parent, os.W_OK):
        target.write_bytes(content)
        return
    # A short name: that of the file may have the greatest length already.
    written = target.with_name(f".loopbench-{os.getpid()}.tmp")
    try:
        written.write_bytes(content)
        with suppress(FileNotFoundError):
            shutil.copymode(target, written)
        written.replace(target)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
