"""Dashboards as tables of panels."""

from dataclasses import dataclass, field

GREEN, YELLOW, ORANGE, RED, NEUTRAL = "green", "yellow", "orange", "red", "text"
Thresholds = tuple[tuple[float | None, str], ...]


@dataclass(frozen=True)
class Query:
    """A PromQL expression and what its series are called."""

    expression: str
    legend: str = "__auto"


@dataclass(frozen=True)
class Panel:
    """A picture of queries; ``width`` is in columns of the 24 there are, ``height`` in units of 30 pixels.

    ``thresholds`` are colours from a value on, the first from anywhere. ``words`` are shown instead of values. Of a
    table, ``table`` are the columns in their order: label, or query by its letter, and heading; ``units`` are theirs.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    thresholds: Thresholds = ((None, NEUTRAL),)
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    stacked: bool = False
    most: float | None = None
    table: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Panels below a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice of the values that a label has in the series that ``selector`` gives."""

    name: str
    label: str
    selector: str


@dataclass(frozen=True)
class Dashboard:
    """All that a file holds; ``links`` are titles of other dashboards by their uid."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    links: dict[str, str]
    since: str = "now-6h"
