"""What the loops reported by epoch, over the seeds of a group."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from loopbench.spec import EpochRecord, Result
from loopbench_client.report.words import mean

# Markers and written figures of a group at most; its line itself has every epoch.
MOST_POINTS = 20


@dataclass(frozen=True)
class Spread:
    """A figure at one epoch over the seeds: mean, least and greatest."""

    epoch: int
    mean: float
    low: float
    high: float

    @property
    def finite(self) -> bool:
        """Whether there is a place for it in a drawing."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def text(self, written: Callable[[float], str]) -> str:
        """The mean, and the range where the seeds differ."""
        if not self.finite:
            return "not finite"
        middle, low, high = (written(value) for value in (self.mean, self.low, self.high))
        return middle if low == high else f"{middle} ({low} to {high})"


def spreads(results: Iterable[Result], split: str, name: str) -> tuple[Spread, ...]:
    """A figure by epoch. It is NaN at an epoch where it is not finite for every seed: a mean would hide that."""
    records = sorted((record for result in results for record in result.history), key=_epoch)
    return tuple(
        spread(epoch, [getattr(getattr(record, split), name) for record in of_epoch])
        for epoch, of_epoch in groupby(records, key=_epoch)
    )


def _epoch(record: EpochRecord) -> int:
    return record.epoch


def spread(epoch: int, values: list[float]) -> Spread:
    """The spread of one value a seed; NaN unless all are finite."""
    if not all(map(math.isfinite, values)):
        return Spread(epoch, math.nan, math.nan, math.nan)
    return Spread(epoch, mean(values), min(values), max(values))


def shown(line: Iterable[Spread]) -> tuple[Spread, ...]:
    """The epochs that get markers and written figures: all, or evenly some of them with the last."""
    known = [*line]
    stride = max(1, math.ceil(len(known) / MOST_POINTS))
    return tuple(known[::-1][::stride][::-1])
