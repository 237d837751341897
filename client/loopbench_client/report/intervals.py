"""Accuracies as intervals and points on an axis, a line a pair or a group; places are percent of the axis."""

from dataclasses import dataclass

from loopbench.page.axes import Scale, linear
from loopbench.spec import Comparison, GroupSummary, PairComparison, Verdict
from loopbench.text import figure
from loopbench_client.report.marks import Mark
from loopbench_client.report.verdicts import Pair
from loopbench_client.report.words import mean_and_sd, percent, points


@dataclass(frozen=True)
class Place:
    """A place on the axis, and its figure."""

    at: str
    text: str


@dataclass(frozen=True)
class Span:
    """A stretch of the axis, and its figures."""

    start: str
    width: str
    text: str


@dataclass(frozen=True)
class DifferenceRow:
    """A pair: its difference, and the interval where one is known."""

    pair: Pair
    difference: Place
    interval: Span | None
    p_values: tuple[str, str]


@dataclass(frozen=True)
class Differences:
    """All pairs on one axis, and the margin around 0."""

    ticks: tuple[Place, ...]
    zero: str
    margin: Span
    rows: tuple[DifferenceRow, ...]


@dataclass(frozen=True)
class SeedsRow:
    """A group: the accuracy of every seed."""

    mark: Mark
    seeds: tuple[Place, ...]
    mean: Place


@dataclass(frozen=True)
class Seeds:
    """All groups on one axis."""

    ticks: tuple[Place, ...]
    rows: tuple[SeedsRow, ...]


def _at(scale: Scale, value: float) -> str:
    return f"{100 * scale.at(value):.2f}%"


def _stretch(scale: Scale, low: float, high: float) -> tuple[str, str]:
    return _at(scale, low), f"{100 * (scale.at(high) - scale.at(low)):.2f}%"


def _ends(pair: PairComparison) -> tuple[float, ...]:
    known = (pair.difference, pair.interval_low, pair.interval_high)
    return tuple(value for value in known if value is not None)


def differences(comparison: Comparison, pairs: tuple[Pair, ...]) -> Differences:
    """The difference of validation accuracy of every pair of which no run diverged."""
    margin = comparison.margin
    sound = tuple(pair for pair in pairs if pair.found.verdict is not Verdict.DIVERGED)
    scale = linear([-margin, margin, *(end for pair in sound for end in _ends(pair.found))])
    return Differences(
        ticks=tuple(Place(_at(scale, tick), f"{100 * tick:+.6g}" if tick else "0") for tick in scale.ticks),
        zero=_at(scale, 0.0),
        margin=Span(*_stretch(scale, -margin, margin), f"±{100 * margin:g}"),
        rows=tuple(_difference_row(pair, scale) for pair in sound),
    )


def _difference_row(pair: Pair, scale: Scale) -> DifferenceRow:
    found = pair.found
    low, high = found.interval_low, found.interval_high
    interval = None
    if low is not None and high is not None:
        interval = Span(*_stretch(scale, low, high), f"{points(low)} to {points(high)}")
    return DifferenceRow(
        pair=pair,
        difference=Place(_at(scale, found.difference), points(found.difference)),
        interval=interval,
        p_values=(figure(found.equivalence_p_value), figure(found.difference_p_value)),
    )


def seeds(comparison: Comparison, marks: dict[str, Mark]) -> Seeds:
    """The validation accuracies of every group."""
    scale = linear([accuracy for group in comparison.groups for accuracy in group.validation_accuracies])
    return Seeds(
        ticks=tuple(Place(_at(scale, tick), f"{100 * tick:.6g} %") for tick in scale.ticks),
        rows=tuple(_seeds_row(group, marks[group.label], scale) for group in comparison.groups),
    )


def _seeds_row(group: GroupSummary, mark: Mark, scale: Scale) -> SeedsRow:
    by_seed = zip(group.seeds, group.validation_accuracies, strict=True)
    middle = group.validation_accuracy_mean
    return SeedsRow(
        mark=mark,
        seeds=tuple(
            Place(
                _at(scale, accuracy),
                f"seed {seed}: {percent(accuracy)}{', diverged' if seed in group.diverged_seeds else ''}",
            )
            for seed, accuracy in by_seed
        ),
        mean=Place(_at(scale, middle), mean_and_sd(middle, group.validation_accuracy_sd)),
    )
