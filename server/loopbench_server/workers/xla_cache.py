"""Compilation cache of XLA, shared by the worker processes of one forkserver."""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

# Older servers used another prefix: their folders have no lock and may be in use.
PREFIX = "loopbench-xla-"

# Limit of cached functions, of about 100 kB each; a run compiles two to four.
MAX_CACHED_FUNCTIONS = 1_000
# Bytes of free space: a run fails where XLA cannot write to its cache.
FREE = 100 << 20

_folder: TemporaryDirectory[str] | None = None


def create() -> None:
    """Create the folder, in the forkserver, which removes it at its end.

    After a SIGKILL the next forkserver removes it. The code is for one machine and one set of versions, so that little
    is lost with it.
    """
    global _folder  # noqa: PLW0603  inherited through the fork
    _folder = _locked_folder()
    _remove_stale_folders()


def remove() -> None:
    """Remove the folder, in the forkserver, before it exits."""
    if _folder:
        _folder.cleanup()


def _locked_folder() -> TemporaryDirectory[str]:
    """Create a folder that stays locked while the forkserver or a process forked from it lives."""
    while True:
        folder = TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        with suppress(FileNotFoundError):
            fcntl.flock(os.open(folder.name, os.O_RDONLY), fcntl.LOCK_EX)
            if Path(folder.name).is_dir():
                return folder
        folder.cleanup()  # another forkserver removed it before it was locked


def _remove_stale_folders() -> None:
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # in use, owned by another user, or just removed
            held = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)


def enable() -> None:
    """Point XLA at the folder, in a forked process before it compiles; read-only where room is short.

    TensorFlow reads the variable once, so a second call has no effect.
    XLA writes a file whole or not at all, and no file is removed while runs exist.
    """
    where = folder()
    if where is None:
        return
    flags = [f"--tf_xla_persistent_cache_directory='{where}'"]
    if len(list(Path(where).glob("*"))) >= MAX_CACHED_FUNCTIONS or shutil.disk_usage(where).free < FREE:
        flags.append("--tf_xla_persistent_cache_read_only")
    os.environ["TF_XLA_FLAGS"] = " ".join(flags)


def folder() -> str | None:
    """Return the folder, or None if it has been removed, for example by a cleanup of temporary files."""
    return _folder.name if _folder and Path(_folder.name).is_dir() else None
