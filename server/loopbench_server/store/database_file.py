"""The file of a SQLite database: whether it is still the one that the server opened.

SQLite keeps writing to a file that somebody deleted or replaced, and creates an empty one where a new connection finds
none. Both lose results that the server has confirmed.
"""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from loopbench_server.errors import StoreCorruptError, StoreFailedError, StoreReplacedError

REPLACED = "the database file was deleted or replaced while the server ran"
# What SQLite says of pages that it cannot read, and of a file that is no database.
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class DatabaseFile:
    """The file behind ``engine``, as it is now. From now on no connection of ``engine`` creates a file.

    A database in memory, on a server, or opened by a URI has none, and is never another one.
    """

    def __init__(self, engine: sa.Engine) -> None:
        path = engine.url.database
        self._path = ""
        if engine.dialect.name == "sqlite" and path and path != ":memory:" and not engine.url.query:
            self._path = str(Path(path).absolute())
            self._opened = _identity(self._path)
            with engine.connect() as connection:
                self._has_wal = connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            sa.event.listen(engine, "do_connect", self._connect)

    def _connect(self, _: Any, __: Any, ___: Any, options: dict[str, Any]) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(f"file:{quote(self._path)}?mode=rw", uri=True, **options)
        return connection

    def check(self) -> None:
        """Before a transaction.

        Raises:
            StoreReplacedError: the path leads to another file, or to none.
        """
        if self._path and _identity(self._path) != self._opened:
            raise StoreReplacedError(REPLACED)

    def check_written(self) -> None:
        """After a transaction: SQLite keeps its log of writes as long as a connection is open.

        Raises:
            StoreReplacedError: as :meth:`check`, or the log is gone, and with it what was written last.
        """
        self.check()
        if self._path and self._has_wal and not Path(f"{self._path}-wal").exists():
            raise StoreReplacedError(REPLACED)


def classify_error(error: sa.exc.SQLAlchemyError) -> type[StoreFailedError]:
    """What ``error`` means for callers."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    # The low byte is the kind, the rest says more of it.
    return StoreCorruptError if code is not None and code & 0xFF in DAMAGED else StoreFailedError
