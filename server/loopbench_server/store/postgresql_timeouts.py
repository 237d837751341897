"""Connections to PostgreSQL that do not wait for ever. Imported where there is such a database: the driver is optional.

The limits that the database itself has do not count where its processes stand still, as in a machine that is paused
or on a disk that hangs: their kernel goes on to confirm what it gets.
"""

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

# Seconds for an answer: more than the database has for a statement, so that its own words are told where there are any.
RESPONSE_TIMEOUT_SECONDS = 15


class TimeoutConnection(psycopg.Connection[Any]):
    """One that is given up once the database has not answered for so long."""

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """What the driver waits by, for everything but connecting."""
        try:
            return super().wait(gen, *arguments, **{"timeout": RESPONSE_TIMEOUT_SECONDS} | options)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # whatever it might still say is for nobody
            raise


def connect(_: Any, __: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> TimeoutConnection:
    """For SQLAlchemy's event ``do_connect``."""
    return TimeoutConnection.connect(*arguments, **options)
