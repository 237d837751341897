"""Networks in specs, and notes in results. No table changes, but an older server refuses unknown fields."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Existing rows can be read as they are: a spec without a network has the default one, a result has no notes."""
