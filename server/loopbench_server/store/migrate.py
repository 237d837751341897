"""Migrates a database to the schema of this server, or refuses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from loopbench_server.store import schema

FOLDER = Path(__file__).with_name("migrations")
# Revisions are numbered: 0001_runs.py is 0001.
KNOWN = sorted(script.name.partition("_")[0] for script in (FOLDER / "versions").glob("[0-9]*.py"))
# The first revision is the schema of databases from before there were migrations.
FIRST, HEAD = KNOWN[0], KNOWN[-1]

# By dialect: prevents concurrent migrations of other servers, until the transaction ends.
LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",
    # Any number that is the same for all servers.
    "postgresql": "SELECT pg_advisory_xact_lock(7605224)",
}
# A migration, or the wait for that of another server, may take any time.
DISABLE_TIMEOUTS = {"postgresql": ("SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0")}
# The table that Alembic creates.
VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class NewerSchemaError(Exception):
    """A newer loopbench has written to the database."""


@contextmanager
def _locked(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.begin() as connection:
        for statement in DISABLE_TIMEOUTS.get(engine.dialect.name, ()):
            connection.exec_driver_sql(statement)
        if lock := LOCKS.get(engine.dialect.name):
            connection.exec_driver_sql(lock)
        yield connection


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION.name):
        return None
    found: str | None = connection.execute(sa.select(VERSION.c.version_num)).scalar()
    if found is not None and found not in KNOWN:
        raise NewerSchemaError(f"schema {found} belongs to a newer loopbench; this one supports schemas up to {HEAD}")
    return found


def _is_empty(connection: sa.Connection, revision: str | None) -> bool:
    return revision is None and not sa.inspect(connection).has_table(schema.runs.name)


def is_older(engine: sa.Engine) -> bool:
    """Return whether there are tables to migrate.

    Raises:
        NewerSchemaError: the database has a revision that this server does not know.
    """
    with engine.connect() as connection:
        revision = _revision(connection)
        return revision != HEAD and not _is_empty(connection, revision)


def migrate(engine: sa.Engine) -> None:
    """Create or migrate the tables in one transaction, and check that the database accepts writes.

    Raises:
        NewerSchemaError: the database has a revision that this server does not know.
    """
    with _locked(engine) as connection:
        revision = _revision(connection)
        if _is_empty(connection, revision):
            _create(connection)
        elif revision != HEAD:
            _upgrade(connection, revision)
        connection.execute(VERSION.update().values(version_num=VERSION.c.version_num))


def _create(connection: sa.Connection) -> None:
    # A new database skips the history of migrations, which takes Alembic a second.
    schema.metadata.create_all(connection)
    VERSION.create(connection)
    connection.execute(VERSION.insert().values(version_num=HEAD))


def _upgrade(connection: sa.Connection, revision: str | None) -> None:
    # Imported here: Alembic takes 12 MB, and is needed once.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    if revision is None:
        command.stamp(config, FIRST)
    command.upgrade(config, "head")
