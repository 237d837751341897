"""Transactions of the store, and what becomes of one that the database refuses."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog

from loopbench_server.errors import StoreCorruptError, StoreReplacedError
from loopbench_server.store.database_file import DatabaseFile, classify_error

log = structlog.get_logger()


class TransactionObserver:
    """Is told of every transaction, on whichever thread it was made."""

    def transaction_ended(self, seconds: float, *, refused: bool) -> None:
        """It took so long, with waiting for a connection; ``refused`` if the database would not, or did not answer."""


class Transactions:
    """Those of ``database``: a connection each, for a ``with`` block that commits.

    ``replaced`` is whether the last one found another file than the one that was opened; ``corrupt``, whether any
    found pages that cannot be read. Either way the store cannot keep results.
    """

    def __init__(self, database: sa.Engine, observer: TransactionObserver) -> None:
        self._engine = database
        self._observer = observer
        # Since the last transaction that was committed; threads may see it a moment late, which costs a traceback.
        self._refusing = False
        self._file = DatabaseFile(database)
        self.replaced = False
        self.corrupt = False

    @contextmanager
    def __call__(self) -> Iterator[sa.Connection]:
        """A connection within a transaction.

        Raises:
            StoreFailedError: the database refused; its file may be another one, or damaged.
            sqlalchemy.exc.IntegrityError: there is such a row already.
        """
        start, refused = time.perf_counter(), False
        try:
            self._file.check()
            with self._engine.begin() as connection:
                yield connection
            # What went to a file that is deleted by now is lost, and no caller may hear that it is stored.
            self._file.check_written()
            self._refusing = self.replaced = False
        except sa.exc.IntegrityError:
            raise
        except sa.exc.SQLAlchemyError as error:
            refused = True
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
        # Every transaction of an outage would have the same traceback.
        first, self._refusing = not self._refusing, True
        log.error("the database refused", error=error, exc_info=first)

    def _describe(self, error: sa.exc.SQLAlchemyError) -> str:
        # SQLite's words name a full disk or a read-only file, and nothing else. Those of a database server name hosts.
        told = self._engine.dialect.name == "sqlite" and isinstance(error, sa.exc.DBAPIError)
        return f": {error.orig}" if told else ""  # type: ignore[attr-defined]  # of a DBAPIError
