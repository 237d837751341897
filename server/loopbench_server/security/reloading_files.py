"""Files that are read again when they change."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

# Certificates and lists of tokens are far smaller.
MAX_FILE_BYTES = 1 << 20


class BrokenFileError(Exception):
    """A file cannot be used; ``faults`` are lines that name every fault and quote nothing of the file."""

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
    """Return the contents of ``paths``.

    Raises:
        BrokenFileError: files cannot be read; all of them are named.
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
    """The value that ``parse`` makes of the contents of ``paths``. Safe on any thread.

    Raises:
        BrokenFileError: a file is broken at the start. Later faults are logged, and the last valid value is kept.
    """

    def __init__(self, paths: tuple[Path, ...], parse: Callable[[tuple[bytes, ...]], T]) -> None:
        self._paths = paths
        self._parse = parse
        self._seen = read_all(paths)
        self._value = parse(self._seen)
        self._logged_faults: list[str] = []
        self._lock = threading.Lock()

    def current(self) -> T:
        """Return the current value. Contents are compared: time stamps are too coarse for two quick changes."""
        with self._lock:
            try:
                contents = read_all(self._paths)
                if contents != self._seen:
                    self._seen = contents  # first, so that a broken file is parsed only once
                    self._value, self._logged_faults = self._parse(contents), []
                    log.info("files reloaded", files=[*map(str, self._paths)])
            except BrokenFileError as error:
                self._log_faults(error.faults)
            return self._value

    def _log_faults(self, faults: list[str]) -> None:
        if faults != self._logged_faults:
            self._logged_faults = faults
            files = [*map(str, self._paths)]
            log.error("files are broken; the previous contents stay in use", files=files, faults=faults)
