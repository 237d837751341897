"""Bars of ratios, from 1."""

import math
from collections.abc import Iterable

from loopbench.page.axes import Scale, logarithmic
from loopbench.page.html import Html, element
from loopbench.spec import Evidence

# Bars are drawn from 0 to 100; a bar of this width marks a value at the end of its axis.
LEAST_BAR = 0.8
# Relative differences below it count as rounding: bars of ratios are marked from there on.
ROUNDING = 1e-3


def bar(value: float | None, scale: Scale, *, base: float, is_off: bool) -> Html:
    """A bar from ``base`` to ``value``, whose place is on ``scale``; a line alone where there is no finite value."""
    zero = 100 * scale.at(base)
    parts = [element("line", class_="one", x1=f"{zero:g}%", x2=f"{zero:g}%", y1="0", y2="100%")]
    if value is not None and math.isfinite(value):
        low, high = sorted((zero, 100 * scale.at(value)))
        width = max(high - low, LEAST_BAR)
        parts.append(element("rect", x=f"{min(low, 100 - width):.4g}%", width=f"{width:.4g}%", y=4, height=10))
    return element("svg", *parts, class_="bar off" if is_off else "bar", aria_hidden="true", focusable="false")


def is_off(ratio: float | None) -> bool:
    """Whether a ratio differs from 1 by more than rounding."""
    return ratio is not None and not abs(ratio - 1) < ROUNDING


def ratio_bars(evidence: Iterable[Evidence]) -> dict[str, Html]:
    """A bar for each measured ratio of which 1 is expected, by its name, all on one logarithmic axis around 1.

    A ratio is a measurement such as ``gradient_ratio`` or ``gradient_ratio/dense/kernel``.
    """
    ratios = {item.name: item.observed for item in evidence if _is_ratio(item) and item.observed is not None}
    scale = logarithmic([*ratios.values(), 1.0])
    return {name: bar(ratio, scale, base=1.0, is_off=is_off(ratio)) for name, ratio in ratios.items()}


def _is_ratio(item: Evidence) -> bool:
    named = item.name.partition("/")[0].endswith("_ratio")
    # A logarithmic axis has no place for others.
    return named and item.expected == 1 and item.observed is not None and 0 < item.observed < math.inf
