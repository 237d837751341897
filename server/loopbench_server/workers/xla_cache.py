"""What XLA compiled for one run, kept for the next of its kind."""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

# Folders of older servers have another name: they are not locked, and may be in use.
PREFIX = "loopbench-xla-"

# Functions that are kept, of some 100 kB each; a run has two to four.
MAX_CACHED_FUNCTIONS = 1_000
# Bytes that have to be free: a run fails where XLA cannot write what it is told to keep.
FREE = 100 << 20

_folder: TemporaryDirectory[str] | None = None


def create() -> None:
    """Makes the folder. It is for the forkserver, whose end removes it; after a SIGKILL the next forkserver does.

    Such code is for one machine and one set of versions, so that nothing is lost with it.
    """
    global _folder  # noqa: PLW0603  handed on by the fork
    _folder = _locked_folder()
    _remove_stale_folders()


def remove() -> None:
    """Remove the folder, in the forkserver, before it ends."""
    if _folder:
        _folder.cleanup()


def _locked_folder() -> TemporaryDirectory[str]:
    """One that is locked for as long as the forkserver lives, or anybody who was forked from it."""
    while True:
        folder = TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        with suppress(FileNotFoundError):
            fcntl.flock(os.open(folder.name, os.O_RDONLY), fcntl.LOCK_EX)
            if Path(folder.name).is_dir():
                return folder
        folder.cleanup()  # another forkserver took it for left before it was locked


def _remove_stale_folders() -> None:
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is in use, of somebody else's, or has just been removed
            held = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)


def enable() -> None:
    """In a forked process, before it compiles: has XLA look into the folder, and add to it while there is room.

    XLA adds a file whole or not at all, and none is removed while runs go on.
    """
    where = folder()
    if where is None:
        return
    flags = [os.environ.get("TF_XLA_FLAGS", ""), f"--tf_xla_persistent_cache_directory='{where}'"]
    if len(list(Path(where).glob("*"))) >= MAX_CACHED_FUNCTIONS or shutil.disk_usage(where).free < FREE:
        flags.append("--tf_xla_persistent_cache_read_only")
    os.environ["TF_XLA_FLAGS"] = " ".join(flags)


def folder() -> str | None:
    """The forkserver's, which goes with it; nothing where whoever tidies temporary files up has taken it."""
    return _folder.name if _folder and Path(_folder.name).is_dir() else None
