"""Cancellation of a run that another server works on."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Nobody has asked for it yet."""
    op.add_column("runs", sa.Column("cancel_time", sa.BigInteger))
