"""Names and figures as people read them; a figure may be NaN."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from loopbench.text import figure

# Keeps a number and its sign on one line.
SPACE = "\N{NO-BREAK SPACE}"


def percent(fraction: float) -> str:
    """An accuracy, 0 to 1."""
    return f"{100 * fraction:.2f}{SPACE}%" if math.isfinite(fraction) else figure(fraction)


def points(difference: float) -> str:
    """A difference of accuracies, in points of a percent."""
    return f"{100 * difference:+.2f}" if math.isfinite(difference) else figure(difference)


def mean_and_sd(mean: float, sd: float | None) -> str:
    """The mean in percent, and the standard deviation where two seeds or more give one."""
    return percent(mean) if sd is None else f"{100 * mean:.2f}{SPACE}±{SPACE}{100 * sd:.2f}{SPACE}%"


def mean(values: Iterable[float]) -> float:
    """The mean, divided first: the sum of large figures need not be finite. NaN where there are no values."""
    known = [*values]
    return sum(value / len(known) for value in known) if known else math.nan


def moment(time: datetime) -> str:
    """To the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
