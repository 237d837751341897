"""The mark of a divergence in results. No table changes, but an older server refuses a field that it does not know."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Rows of before can be read as they are: where their figures are not finite, the mark follows from those."""
