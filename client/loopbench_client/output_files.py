"""Files that the client writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopbench_client.errors import ErrorDetails, OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translates the system's errors of a block that writes ``path``.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        raise OutputError(ErrorDetails(f"{path} cannot be written: {cause}", "FILE_NOT_WRITABLE")) from error
