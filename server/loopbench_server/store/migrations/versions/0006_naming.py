"""Names and labels of runs. Existing runs have neither; an older server leaves both columns NULL."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns of the run itself, and the table by which lists filter."""
    op.add_column("runs", sa.Column("name", sa.String(100)))
    op.add_column("runs", sa.Column("labels", sa.Text))
    op.create_index("ix_runs_name", "runs", ["name"])
    op.create_table(
        "labels",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.String(63), primary_key=True),
        sa.Column("value", sa.String(100), nullable=False),
    )
    op.create_index("ix_labels_key_value", "labels", ["key", "value"])
