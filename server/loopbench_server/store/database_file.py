"""The file of a SQLite database, and whether it is still the file that the server opened.

SQLite continues to write to a file that was deleted or replaced, and creates an empty file where a new connection finds
none. Both lose results that the server has confirmed.
"""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from loopbench_server.errors import StoreCorruptError, StoreFailedError, StoreReplacedError

REPLACED = "the database file was deleted or replaced while the server ran"
# SQLite's errors for unreadable pages, and for a file that is not a database.
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def find_file(url: sa.URL) -> Path | None:
    """Return the absolute path of the database file; None for a database in memory or on a server.

    SQLite ignores a host. With parameters of a URI, the file may be another one, and may be created or read-only.
    """
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(url.database or "").absolute() if is_file and not url.host and not url.query else None


def connect_existing(path: str | Path, **options: Any) -> sqlite3.Connection:
    """Connect to a database file; unlike :func:`sqlite3.connect`, refuse to create a missing one."""
    connection: sqlite3.Connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, **options)
    return connection


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class DatabaseFile:
    """The file behind ``engine``. Connections of ``engine`` no longer create a file.

    A database without a file never counts as replaced.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._path = str(find_file(engine.url) or "")
        if self._path:
            self._opened = _identity(self._path)
            with engine.connect() as connection:
                self._has_wal = connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            sa.event.listen(engine, "do_connect", self._connect)

    def _connect(self, _: Any, __: Any, ___: Any, options: dict[str, Any]) -> sqlite3.Connection:
        return connect_existing(self._path, **options)

    def check(self) -> None:
        """Check the file before a transaction.

        Raises:
            StoreReplacedError: the path leads to another file, or to none.
        """
        if self._path and _identity(self._path) != self._opened:
            raise StoreReplacedError(REPLACED)

    def check_written(self) -> None:
        """Check the file after a transaction: SQLite keeps its write-ahead log while a connection is open.

        Raises:
            StoreReplacedError: as :meth:`check`, or the log is missing, and with it the last writes.
        """
        self.check()
        if self._path and self._has_wal and not Path(f"{self._path}-wal").exists():
            raise StoreReplacedError(REPLACED)


def is_damage(error: object) -> bool:
    """Return whether an error of SQLite means that the file has unreadable pages, or is not a database."""
    code = getattr(error, "sqlite_errorcode", None)
    # The low byte is the primary error code.
    return code is not None and code & 0xFF in DAMAGED


def classify_error(error: sa.exc.SQLAlchemyError) -> type[StoreFailedError]:
    """Return the domain error for ``error``."""
    return StoreCorruptError if is_damage(getattr(error, "orig", None)) else StoreFailedError
