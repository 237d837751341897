"""The temporary files of a worker process."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from loopbench_server.disk import check_writable
from loopbench_server.errors import LoopbenchServerError, TemporaryFolderError
from loopbench_server.workers import xla_cache


@contextmanager
def scratch() -> Iterator[None]:
    """Temporary files have a folder to themselves within the block, and are removed with it.

    AutoGraph keeps its files until the interpreter ends, which a killed worker's never does. What a killed worker
    leaves goes with the forkserver's folder.

    Where AutoGraph cannot write, it leaves loops as they are, and TensorFlow fails with words about the loop: an error
    of the block is one of the loop only if the folder still takes files.

    Raises:
        TemporaryFolderError: the folder takes no files, before the block or when the block failed.
    """
    with _make_folder() as folder:
        _check(folder)
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        except LoopbenchServerError:
            raise
        except Exception:
            _check(folder)
            raise
        finally:
            tempfile.tempdir = before


def _make_folder() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="worker-", dir=xla_cache.folder(), ignore_cleanup_errors=True)
    except OSError as error:
        raise _make_refusal(error) from error


def _check(folder: str) -> None:
    try:
        check_writable(folder)
    except OSError as error:
        raise _make_refusal(error) from error


def _make_refusal(error: OSError) -> TemporaryFolderError:
    return TemporaryFolderError(f"the server's temporary folder (TMPDIR) takes no files: {error.strerror}")
