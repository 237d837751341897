"""Brings a database to the schema of this server, or refuses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

FOLDER = Path(__file__).with_name("migrations")
# The schema of databases from before there were migrations.
FIRST = "0001"

# By dialect: keeps other servers that start at the same time from migrating too. It ends with the transaction.
LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",
    # Any number, the same for all servers.
    "postgresql": "SELECT pg_advisory_xact_lock(7605224)",
}


class NewerSchemaError(Exception):
    """The database was written by a newer loopbench."""


@contextmanager
def _locked(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.begin() as connection:
        if lock := LOCKS.get(engine.dialect.name):
            connection.exec_driver_sql(lock)
        yield connection


def migrate(engine: sa.Engine) -> None:
    """Applies what is missing, in one transaction.

    Raises:
        NewerSchemaError: the database knows revisions that this server does not.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    with _locked(engine) as connection:
        found = MigrationContext.configure(connection).get_current_heads()
        if unknown := sorted(set(found) - known):
            raise NewerSchemaError(
                f"its schema {', '.join(unknown)} is of a newer loopbench than this one, which knows {max(known)}"
            )
        config.attributes["connection"] = connection
        if not found and sa.inspect(connection).has_table("runs"):
            command.stamp(config, FIRST)
        command.upgrade(config, "head")
