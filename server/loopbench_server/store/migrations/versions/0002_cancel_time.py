"""Cancellation of a run that another server works on, and retention."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the time of the cancellation request, and an index for the deletion of old runs."""
    op.add_column("runs", sa.Column("cancel_time", sa.BigInteger))
    op.create_index("ix_runs_end_time", "runs", ["end_time"])
