"""Temporary files of a worker process."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from loopbench_server.disk import check_writable
from loopbench_server.errors import LoopbenchServerError, TemporaryFolderError
from loopbench_server.workers import xla_cache


@contextmanager
def scratch() -> Iterator[None]:
    """Give temporary files a separate folder within the block, and remove it afterwards.

    AutoGraph keeps its files until the interpreter exits, which a killed worker never does. The forkserver's folder
    contains these folders and is removed with it.

    Where AutoGraph cannot write, it does not convert loops, and TensorFlow then reports an error about the loop. The
    folder is therefore checked again when the block fails.

    Raises:
        TemporaryFolderError: the folder does not accept files, before the block or after the block failed.
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
    return TemporaryFolderError(f"the server's temporary folder (TMPDIR) does not accept files: {error.strerror}")
