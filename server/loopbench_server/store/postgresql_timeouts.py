"""Connections to PostgreSQL with a response timeout. Imported only for such a database: the driver is optional.

The limits of the database itself have no effect while its processes stand still, as on a paused machine or a hung disk:
their kernel still acknowledges what it receives.
"""

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

# More than the statement timeout of the database, so that its own error arrives first where it can.
RESPONSE_TIMEOUT_SECONDS = 15


class TimeoutConnection(psycopg.Connection[Any]):
    """A connection that closes when the database has not responded for RESPONSE_TIMEOUT_SECONDS."""

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait as the driver does for everything but connecting."""
        try:
            return super().wait(gen, *arguments, **{"timeout": RESPONSE_TIMEOUT_SECONDS} | options)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # a late response would have no reader
            raise


def connect(_: Any, __: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> TimeoutConnection:
    """Open a connection; a listener of SQLAlchemy's event ``do_connect``."""
    return TimeoutConnection.connect(*arguments, **options)
