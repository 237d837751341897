"""Specs with a network. No table changes, but an older server refuses a field that it does not know."""

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    """Existing rows can be read as they are: a spec without a network has the default one."""
