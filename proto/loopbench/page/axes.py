"""Axes: from figures to places, 0 to 1, and the figures to write beside them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (1, 2, 5)
# Ticks fit beside a chart up to this many.
MOST_TICKS = 7
# Powers of ten that a double holds, the product with a step of 5 included.
LEAST_POWER, MOST_POWER = -307, 307


@dataclass(frozen=True)
class Scale:
    """An axis, and the figures to write beside it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The place of a finite ``value``; what is off the axis is put at its end."""
        low, high, here = (self._linear(number) for number in (self.low, self.high, value))
        return min(1.0, max(0.0, (here - low) / (high - low)))

    def _linear(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.logarithmic else value


def linear(values: Iterable[float]) -> Scale:
    """Round figures around those of ``values`` that are finite; from 0 to 1 where there are none."""
    low, high = _bounds(values, (0.0, 1.0))
    if low == high:
        low, high = low - (abs(low) or 1) / 20, high + (abs(high) or 1) / 20
    step = _step((high - low) / (MOST_TICKS - 2))
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(number * step for number in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def whole(low: int, high: int) -> Scale:
    """Whole numbers from ``low`` to ``high``, such as epochs; both ends have room for a marker."""
    step = max(1, math.ceil(_step((high - low) / (MOST_TICKS - 1))))
    ticks = tuple(float(number) for number in range(low, high + 1) if number == low or number % step == 0)
    room = max(high - low, 1) / 40
    return Scale(low - room, high + room, ticks)


def logarithmic(values: Iterable[float]) -> Scale:
    """Powers of ten around ``values``, all above 0, or 1, 2 and 5 times these where they are few."""
    low, high = _bounds(values, (0.1, 1.0))
    powers = range(_power(low), _power(high) + 2)
    fine = [step * 10.0**power for power in powers for step in STEPS]
    first = max((tick for tick in fine if tick <= low), default=fine[0])
    last = min((tick for tick in fine if tick >= high and tick > first), default=fine[-1])
    ticks = [tick for tick in fine if first <= tick <= last]
    if len(ticks) > MOST_TICKS:
        ticks = [10.0**power for power in powers if first <= 10.0**power <= last]
    ticks = ticks[:: math.ceil(len(ticks) / MOST_TICKS)]
    return Scale(first, last, tuple(ticks), logarithmic=True)


def above_zero(values: Iterable[float]) -> Scale:
    """Powers of ten around the positive ``values``; where a value is 0, also 0 itself, a decade below the others."""
    known = [*values]
    scale = logarithmic(value for value in known if value > 0)
    if all(value > 0 for value in known):
        return scale
    return Scale(scale.low / 10, scale.high, (0.0, *scale.ticks), logarithmic=True)


def loss_scale(values: Iterable[float]) -> Scale:
    """Logarithmic, since losses that differ by a factor then are parallel; a loss of 0 has no place on it."""
    known = [*values]
    return logarithmic(known) if all(value > 0 for value in known) else linear(known)


def _bounds(values: Iterable[float], default: tuple[float, float]) -> tuple[float, float]:
    known = [value for value in values if math.isfinite(value)]
    return (min(known), max(known)) if known else default


def _power(value: float) -> int:
    return min(MOST_POWER, max(LEAST_POWER, math.floor(math.log10(value))))


def _step(least: float) -> float:
    """The smallest round step that is not below ``least``."""
    if least <= 0:
        return 1.0
    power = 10.0 ** _power(least)
    return next(step * power for step in (*STEPS, 10) if step * power >= least * (1 - 1e-9))
