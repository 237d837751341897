"""Cancellation of a run that another server works on, and retention."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Nobody has asked for it yet. What has ended long ago is looked for by its end."""
    op.add_column("runs", sa.Column("cancel_time", sa.BigInteger))
    op.create_index("ix_runs_end_time", "runs", ["end_time"])
