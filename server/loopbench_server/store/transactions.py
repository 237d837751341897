"""Transactions of the store, and their errors."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog

from loopbench_server.errors import StoreCorruptError, StoreReplacedError
from loopbench_server.store.database_file import DatabaseFile, classify_error

log = structlog.get_logger()


class TransactionObserver:
    """Receives every transaction, on the thread that made it."""

    def transaction_ended(self, seconds: float, *, refused: bool) -> None:
        """The transaction took ``seconds``, including the wait for a connection; ``refused`` if the database failed."""


class Transactions:
    """Transactions of ``database``, each on a connection, for a ``with`` block that commits.

    ``replaced`` says whether the last transaction found another file than the opened one; ``corrupt``, whether any
    found unreadable pages. In both cases the store cannot keep results. ``refused`` is set when the database refuses a
    transaction, and never cleared here: later ones may only read.
    """

    def __init__(self, database: sa.Engine, observer: TransactionObserver) -> None:
        self._engine = database
        self._observer = observer
        # Since the last commit; other threads may see it late, which only costs a traceback.
        self._refusing = False
        self._file = DatabaseFile(database)
        self.replaced = False
        self.corrupt = False
        self.refused = False

    @contextmanager
    def __call__(self) -> Iterator[sa.Connection]:
        """Yield a connection within a transaction.

        Raises:
            StoreFailedError: the database refused; its file may be replaced or damaged.
            sqlalchemy.exc.IntegrityError: the row exists already.
        """
        start, refused = time.perf_counter(), False
        try:
            self._file.check()
            with self._engine.begin() as connection:
                yield connection
            # A write to a deleted file is lost, and callers must not learn that it is stored.
            self._file.check_written()
            self._refusing = self.replaced = False
        except sa.exc.IntegrityError:
            raise
        except sa.exc.SQLAlchemyError as error:
            refused = self.refused = True
            self._log_refusal(str(getattr(error, "orig", error)))
            kind = classify_error(error)
            self.corrupt = self.corrupt or kind is StoreCorruptError
            raise kind(f"the database of runs cannot be read or written{self._describe(error)}") from error
        except StoreReplacedError as error:
            refused = self.replaced = True
            self._log_refusal(str(error))
            raise
        finally:
            self._observer.transaction_ended(time.perf_counter() - start, refused=refused)

    def _log_refusal(self, error: str) -> None:
        # All transactions of an outage would have the same traceback.
        first, self._refusing = not self._refusing, True
        log.error("database error", error=error, exc_info=first)

    def _describe(self, error: sa.exc.SQLAlchemyError) -> str:
        # Messages of SQLite name a full disk or a read-only file and nothing else. Those of a database server name
        # hosts.
        is_public = self._engine.dialect.name == "sqlite" and isinstance(error, sa.exc.DBAPIError)
        return f": {error.orig}" if is_public else ""  # type: ignore[attr-defined]  # of a DBAPIError
