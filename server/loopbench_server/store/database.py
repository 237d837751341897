"""Opens the database of a URL, with the options that each kind of database needs for a service."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import sqlalchemy as sa

from loopbench_server.blocking import READ_THREADS, RESERVED_THREADS, RUN_THREADS, STORE_THREADS
from loopbench_server.store.database_file import find_file
from loopbench_server.store.migrate import is_older, migrate

# Time limit of a statement that waits for a lock or for an unresponsive server.
STATEMENT_TIMEOUT_SECONDS = 10
# Connections that stay open. A connection of SQLite holds about 4 MB of pages, prepared statements and the weights that
# it wrote last, and opens in a millisecond: fewer of them stay open.
CONNECTIONS, SQLITE_CONNECTIONS = 5, 2
# Each thread uses at most one connection, so that none waits for another's.
MAX_CONNECTIONS = STORE_THREADS + READ_THREADS + RUN_THREADS
# Options of every connection, by dialect. A PostgreSQL server whose host vanished sends nothing, so that only these
# limits detect it; the parameters are those of libpq.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "postgresql": {
        "connect_timeout": STATEMENT_TIMEOUT_SECONDS // 2,
        "tcp_user_timeout": 1000 * STATEMENT_TIMEOUT_SECONDS,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={STATEMENT_TIMEOUT_SECONDS}s",
        "application_name": "loopbench",
    },
}
# A run that was reported as done has to survive a power cut, so every commit is synced.
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={1000 * STATEMENT_TIMEOUT_SECONDS}",
)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _engine(url: str | sa.URL, most: int = MAX_CONNECTIONS) -> sa.Engine:
    parsed = sa.make_url(url)
    dialect = parsed.get_backend_name()
    if file := find_file(parsed):
        file.parent.mkdir(parents=True, exist_ok=True)
    # Connections that a restarted database has closed are detected before their use. Parameters are hidden, so that
    # rows do not appear in the log of a failed statement.
    arguments = ARGUMENTS.get(dialect, {})
    kept = min(most, SQLITE_CONNECTIONS if dialect == "sqlite" else CONNECTIONS)
    pool = {"pool_size": kept, "max_overflow": most - kept, "pool_timeout": STATEMENT_TIMEOUT_SECONDS}
    engine = sa.create_engine(parsed, connect_args=arguments, hide_parameters=True, pool_pre_ping=True, **pool)
    if dialect == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _add_response_timeout(engine: sa.Engine) -> None:
    """Limit the response time of new connections, after the migration, which may take any time."""
    if engine.dialect.name == "postgresql":
        from loopbench_server.store.postgresql_timeouts import connect  # noqa: PLC0415  the driver is optional

        sa.event.listen(engine, "do_connect", connect)


def _migrate_apart(url: str | sa.URL) -> None:
    # In another process, because this one would hold Alembic's memory as long as it runs.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as apart:
        apart.submit(migrate_database, url).result()


def migrate_database(url: str | sa.URL) -> None:
    """Migrate the database to the current schema; create the folder of a SQLite file.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError, ImportError: the database cannot be opened.
        NewerSchemaError: a newer server has written to it.
    """
    engine = _engine(url)
    try:
        migrate(engine)
    finally:
        engine.dispose()


def open_database(url: str | sa.URL) -> sa.Engine:
    """Open the database and migrate it to the current schema; create the folder of a SQLite file.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError, ImportError, BrokenProcessPool: the database cannot be opened.
        NewerSchemaError: a newer server has written to it.
    """
    engine = _engine(url)
    try:
        if is_older(engine):
            _migrate_apart(url)
        migrate(engine)
    finally:
        engine.dispose()
    _add_response_timeout(engine)
    return engine


def reserved_connections(url: str | sa.URL) -> sa.Engine:
    """Return the database that :func:`open_database` has opened, with connections for leases and cancellations only."""
    engine = _engine(url, RESERVED_THREADS)
    _add_response_timeout(engine)
    return engine
