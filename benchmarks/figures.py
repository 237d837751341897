"""Summaries of repeated measurements."""

import statistics
from collections.abc import Sequence

from pydantic import BaseModel


class Spread(BaseModel):
    """The median of several measurements, with the lowest and the highest."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Spread of at least one value."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values), count=len(values))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Ratios by round, because a slow round of the machine affects both sides."""
    return spread([above / below for above, below in zip(numerators, denominators, strict=True)])
