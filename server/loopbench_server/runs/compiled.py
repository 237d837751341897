"""What XLA compiled for one run, kept for the next of its kind."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

# Functions that are kept, of some 100 kB each; a run has two to four.
LARGEST_CACHE = 1_000
# Bytes that have to be free: a run fails where XLA cannot write what it is told to keep.
FREE = 100 << 20

_folder: TemporaryDirectory[str] | None = None


def keep() -> None:
    """Makes the folder. It is for the forkserver, whose end, however it comes about, removes it.

    Such code is for one machine and one set of versions, so that nothing is lost with it.
    """
    global _folder  # noqa: PLW0603  handed on by the fork
    _folder = TemporaryDirectory(prefix="loopbench-compiled-")


def share() -> None:
    """In a forked process, before it compiles: has XLA look into the folder, and add to it while there is room.

    XLA adds a file whole or not at all, and none is removed while runs go on.
    """
    folder = Path(_folder.name) if _folder else None
    if folder is None or not folder.is_dir():  # whoever tidies temporary files up may have taken it
        return
    flags = [os.environ.get("TF_XLA_FLAGS", ""), f"--tf_xla_persistent_cache_directory='{folder}'"]
    if len(list(folder.glob("*"))) >= LARGEST_CACHE or shutil.disk_usage(folder).free < FREE:
        flags.append("--tf_xla_persistent_cache_read_only")
    os.environ["TF_XLA_FLAGS"] = " ".join(flags)
