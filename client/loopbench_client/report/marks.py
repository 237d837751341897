"""Marks of a group: colour, dash and marker together, so that no group differs by colour alone."""

from collections.abc import Iterable
from dataclasses import dataclass

# style.css has the colours of both schemes and the dashes, charts.html the markers. The three numbers have few common
# divisors, so that sixty groups differ, and neighbours differ in all three.
COLOURS, DASHES, MARKERS = 6, 4, 5


@dataclass(frozen=True)
class Mark:
    """The look of group ``number``, counted from 1, in every chart."""

    number: int
    label: str

    @property
    def colour(self) -> str:
        """The class that colours it."""
        return f"c{(self.number - 1) % COLOURS}"

    @property
    def dash(self) -> str:
        """The class that breaks its line."""
        return f"d{(self.number - 1) % DASHES}"

    @property
    def marker(self) -> str:
        """The id of the symbol at its points."""
        return f"m{(self.number - 1) % MARKERS}"


def marks(labels: Iterable[str]) -> dict[str, Mark]:
    """A mark a group, by label."""
    return {label: Mark(number, label) for number, label in enumerate(labels, start=1)}
