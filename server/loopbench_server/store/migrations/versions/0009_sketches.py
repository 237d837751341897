"""Sketches of the weights in epochs. No table changes, but an older server refuses a field that it does not know."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Existing rows can be read as they are: older epochs have no sketch."""
