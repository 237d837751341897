"""Loss, accuracy and weight distance by epoch, a line a group, as shapes in a drawing of WIDTH by HEIGHT."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from loopbench.page.axes import Scale, above_zero, linear, loss_scale, whole
from loopbench.spec import Result
from loopbench.text import figure
from loopbench_client.report.marks import Mark
from loopbench_client.report.spreads import Spread, shown, spreads
from loopbench_client.report.words import percent

WIDTH, HEIGHT = 420, 270
# Where lines are drawn; the figures of the axes are left of it and below.
LEFT, RIGHT, TOP, BOTTOM = 62, 412, 10, 232

SPLITS = ("train", "validation")

# A figure that each epoch of each run has.
FIRST = ("train", "loss")
# The cell of a group that a chart has no line of.
NOTHING = "–"

# With fewer epochs there is nothing to look at more closely.
FEWEST_EPOCHS_FOR_HALVES = 4


@dataclass(frozen=True)
class Kind:
    """A figure of every epoch: its axis, and how it is written there and in full."""

    scale: Callable[[Iterable[float]], Scale]
    tick: Callable[[float], str]
    written: Callable[[float], str]


METRICS: dict[str, Kind] = {
    "loss": Kind(loss_scale, figure, figure),
    "accuracy": Kind(linear, lambda accuracy: f"{100 * accuracy:.6g} %", percent),
}
# An estimate, which more digits would belie.
DISTANCE = Kind(above_zero, figure, lambda distance: f"{distance:.2g}")


@dataclass(frozen=True)
class Tick:
    """A figure beside an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Point:
    """A marker, and what it stands for."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """A group: the paths of its mean and of its band, and markers; all empty where no figure is finite."""

    mark: Mark
    path: str
    band: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """A drawing, and the groups of which some figure is not finite."""

    title: str
    logarithmic: bool
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True)
class EpochRow:
    """A group at an epoch in words; a cell a chart."""

    mark: Mark
    epoch: int
    cells: tuple[str, ...]


Histories = dict[Mark, tuple[Result, ...]]
Lines = Mapping[Mark, tuple[Spread, ...]]


@dataclass(frozen=True)
class Curves:
    """A figure of every group by epoch, to be drawn as one chart."""

    title: str
    kind: Kind
    lines: Lines


def curves(found: Histories, distances: Lines) -> tuple[Curves, ...]:
    """Loss and accuracy, train and validation, and the weight distances if there are any."""
    metrics = [
        Curves(
            f"{split} {name}".capitalize(),
            kind,
            {mark: spreads(results, split, name) for mark, results in found.items()},
        )
        for name, kind in METRICS.items()
        for split in SPLITS
    ]
    return (*metrics, *([Curves("Weight distance", DISTANCE, distances)] if distances else ()))


def views(found: Histories, all_curves: Iterable[Curves]) -> dict[str, tuple[Chart, ...]]:
    """A chart of each of the curves: of all epochs, and of the second half.

    There the lines are close to each other, and the first epochs would flatten what sets them apart. No history gives
    no views.
    """
    known = tuple(all_curves)
    epochs = {record.epoch for results in found.values() for result in results for record in result.history}
    if not epochs:
        return {}
    last = max(epochs)
    firsts = {"all epochs": min(epochs)}
    if len(epochs) >= FEWEST_EPOCHS_FOR_HALVES:
        firsts["second half"] = last // 2 + 1
    return {name: tuple(_chart(one, range(first, last + 1)) for one in known) for name, first in firsts.items()}


def epoch_rows(found: Histories, all_curves: Iterable[Curves]) -> tuple[EpochRow, ...]:
    """The figures behind the charts, at the epochs that have markers; the cells are in the order of the charts."""
    known = tuple(all_curves)
    rows: list[EpochRow] = []
    for mark, results in found.items():
        texts = [{spread.epoch: spread.text(one.kind.written) for spread in one.lines.get(mark, ())} for one in known]
        rows += [
            EpochRow(mark, spread.epoch, tuple(of_epoch.get(spread.epoch, NOTHING) for of_epoch in texts))
            for spread in shown(spreads(results, *FIRST))
        ]
    return tuple(rows)


def _chart(curves: Curves, epochs: range) -> Chart:
    kind = curves.kind
    lines = {mark: tuple(spread for spread in line if spread.epoch in epochs) for mark, line in curves.lines.items()}
    finite = [spread for line in lines.values() for spread in line if spread.finite]
    y_scale = kind.scale([value for spread in finite for value in (spread.low, spread.high)])
    x_scale = whole(epochs[0], epochs[-1])
    plane = Plane(x_scale, y_scale, kind)
    return Chart(
        title=curves.title,
        logarithmic=y_scale.logarithmic,
        x_ticks=tuple(Tick(plane.x(tick), f"{tick:g}") for tick in x_scale.ticks),
        y_ticks=tuple(Tick(plane.y(tick), kind.tick(tick)) for tick in y_scale.ticks),
        lines=tuple(plane.line(mark, line) for mark, line in lines.items()),
        broken=tuple(mark.label for mark, line in lines.items() if not all(spread.finite for spread in line)),
    )


@dataclass(frozen=True)
class Plane:
    """Where the two axes cross: turns figures into shapes."""

    x_scale: Scale
    y_scale: Scale
    kind: Kind

    def x(self, value: float) -> float:
        """The place of an epoch."""
        return round(LEFT + (RIGHT - LEFT) * self.x_scale.at(value), 1)

    def y(self, value: float) -> float:
        """The place of a figure."""
        return round(BOTTOM - (BOTTOM - TOP) * self.y_scale.at(value), 1)

    def line(self, mark: Mark, line: tuple[Spread, ...]) -> Line:
        """A group's shapes, with gaps where figures are not finite."""
        pieces = [*_pieces(line)]
        return Line(
            mark=mark,
            path=" ".join(_path((self.x(spread.epoch), self.y(spread.mean)) for spread in piece) for piece in pieces),
            band=" ".join(self._band(piece) for piece in pieces),
            points=tuple(self._point(mark, spread) for spread in shown(line) if spread.finite),
        )

    def _band(self, piece: list[Spread]) -> str:
        """Along the greatest figures, and back along the least."""
        there = [(self.x(spread.epoch), self.y(spread.high)) for spread in piece]
        back = [(self.x(spread.epoch), self.y(spread.low)) for spread in reversed(piece)]
        return f"{_path(there + back)} Z"

    def _point(self, mark: Mark, spread: Spread) -> Point:
        text = f"{mark.label}, epoch {spread.epoch}: {spread.text(self.kind.written)}"
        return Point(self.x(spread.epoch), self.y(spread.mean), text)


def _pieces(line: tuple[Spread, ...]) -> Iterator[list[Spread]]:
    """The stretches between figures that are not finite."""
    for finite, piece in groupby(line, key=lambda spread: spread.finite):
        if finite:
            yield [*piece]


def _path(places: Iterable[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:g} {y:g}" for x, y in places)
