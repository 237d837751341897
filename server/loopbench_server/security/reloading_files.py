"""Files that are read anew when they change."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

# Bytes of a file; certificates and lists of tokens are far smaller.
MAX_FILE_BYTES = 1 << 20


class BrokenFileError(Exception):
    """A file cannot be used; ``faults`` are lines that name everything that is wrong, and quote nothing of it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(0, f"larger than {MAX_FILE_BYTES} bytes")
    return content


def read_all(paths: tuple[Path, ...]) -> tuple[bytes, ...]:
    """The contents of ``paths``.

    Raises:
        BrokenFileError: files that cannot be read, all of them named.
    """
    contents, faults = [], []
    for path in paths:
        try:
            contents.append(_read(path))
        except OSError as error:
            faults.append(f"{path} cannot be read: {error.strerror}")
    if faults:
        raise BrokenFileError(faults)
    return tuple(contents)


class ReloadingFiles(Generic[T]):
    """What ``paths`` hold, as ``parse`` makes it of their contents. For use by any thread.

    Raises:
        BrokenFileError: at the start. From then on what is broken is logged, and what was there before holds.
    """

    def __init__(self, paths: tuple[Path, ...], parse: Callable[[tuple[bytes, ...]], T]) -> None:
        self._paths = paths
        self._parse = parse
        self._seen = read_all(paths)
        self._value = parse(self._seen)
        self._logged_faults: list[str] = []
        self._lock = threading.Lock()

    def current(self) -> T:
        """As of now. Contents are compared, since time stamps are too coarse to tell two quick changes apart."""
        with self._lock:
            try:
                contents = read_all(self._paths)
                if contents != self._seen:
                    self._seen = contents  # first, so that what is broken is looked at once
                    self._value, self._logged_faults = self._parse(contents), []
                    log.info("files read anew", files=[*map(str, self._paths)])
            except BrokenFileError as error:
                self._tell(error.faults)
            return self._value

    def _tell(self, faults: list[str]) -> None:
        if faults != self._logged_faults:
            self._logged_faults = faults
            files = [*map(str, self._paths)]
            log.error("files are broken, and what they held before holds", files=files, faults=faults)
