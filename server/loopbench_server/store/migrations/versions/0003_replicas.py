"""Specs of several replicas. No table changes, but an older server refuses a field that it does not know."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Existing rows can be read as they are."""
