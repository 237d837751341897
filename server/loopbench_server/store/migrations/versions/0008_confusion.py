"""Confusion matrices in results. No table changes, but an older server refuses a field that it does not know."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Existing rows can be read as they are: the metrics of older results have no classes."""
