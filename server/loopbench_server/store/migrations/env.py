"""Alembic runs this, on the connection that :mod:`loopbench_server.store.migrate` holds.

A developer who writes a new revision has no such connection, and gets a new one.
"""

import sqlalchemy as sa
from alembic import context

from loopbench_server.store.schema import metadata


def _run(connection: sa.Connection) -> None:
    # SQLite cannot alter a column; Alembic copies the table instead.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    context.run_migrations()


if given := context.config.attributes.get("connection"):
    _run(given)
else:
    with sa.create_engine(context.config.get_main_option("sqlalchemy.url") or "").begin() as own:
        _run(own)
