"""Tables in Markdown."""

from collections.abc import Iterable, Iterator


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with one line of names; every cell is text."""
    columns = [*head]
    return "\n".join(_lines([columns, ["---"] * len(columns), *rows]))


def codes(reasons: Iterable[str]) -> str:
    """Names of causes as code, with ``or`` for the bar of a label."""
    return ", ".join(" or ".join(f"`{name}`" for name in reason.split("|")) for reason in reasons)


def _lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    # A vertical bar in a cell would end it.
    return (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
