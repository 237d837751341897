"""Transactions of the store, and what becomes of one that the database refuses."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog

from loopbench_server.errors import StoreFailedError

log = structlog.get_logger()


class TransactionObserver:
    """Is told of every transaction, on whichever thread it was made."""

    def transaction_ended(self, seconds: float, *, refused: bool) -> None:
        """It took so long, with waiting for a connection; ``refused`` if the database would not, or did not answer."""


class Transactions:
    """Those of ``database``: a connection each, for a ``with`` block that commits."""

    def __init__(self, database: sa.Engine, observer: TransactionObserver) -> None:
        self._engine = database
        self._observer = observer
        # Since the last transaction that was committed; threads may see it a moment late, which costs a traceback.
        self._refusing = False

    @contextmanager
    def __call__(self) -> Iterator[sa.Connection]:
        """A connection within a transaction.

        Raises:
            StoreFailedError: the database refused.
            sqlalchemy.exc.IntegrityError: there is such a row already.
        """
        start, refused = time.perf_counter(), False
        try:
            with self._engine.begin() as connection:
                yield connection
            self._refusing = False
        except sa.exc.IntegrityError:
            raise
        except sa.exc.SQLAlchemyError as error:
            refused = True
            self._tell(error)
            raise StoreFailedError(f"the database of runs cannot be read or written{self._reason(error)}") from error
        finally:
            self._observer.transaction_ended(time.perf_counter() - start, refused=refused)

    def _tell(self, error: sa.exc.SQLAlchemyError) -> None:
        # Every transaction of an outage would have the same traceback.
        first, self._refusing = not self._refusing, True
        log.error("the database refused", error=str(getattr(error, "orig", error)), exc_info=first)

    def _reason(self, error: sa.exc.SQLAlchemyError) -> str:
        # SQLite's words name a full disk or a read-only file, and nothing else. Those of a database server name hosts.
        told = self._engine.dialect.name == "sqlite" and isinstance(error, sa.exc.DBAPIError)
        return f": {error.orig}" if told else ""  # type: ignore[attr-defined]  # of a DBAPIError
