"""Divergence in results. No table changes, but an older server refuses a field that it does not know."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Existing rows can be read as they are: where their metrics are not finite, the divergence follows from those."""
