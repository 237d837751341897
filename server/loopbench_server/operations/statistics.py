"""Statistical tests behind a verdict, on differences of accuracies; all values are fractions, not percentage points.

Two one-sided tests: D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657. Unequal variances: B. L. Welch,
Biometrika 34 (1947) 28. Multiple comparisons: S. Holm, Scand. J. Statist. 6 (1979) 65. Effect sizes: J. Cohen,
Statistical Power Analysis (1988), d of the pooled deviation, and d of the differences where they are paired.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy import stats

POWER = 0.8
MAX_SEEDS = 1_000


@dataclass(frozen=True)
class Difference:
    """Mean of first minus second, its standard error with degrees of freedom, and the standard deviation."""

    mean: float
    error: float
    freedom: float
    deviation: float

    @property
    def effect_size(self) -> float | None:
        """Mean over deviation, or None without a deviation."""
        return self.mean / self.deviation if self.deviation else None

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the two-sided confidence interval of the mean at 1 - alpha."""
        reach = float(stats.t.ppf(1 - alpha / 2, self.freedom)) * self.error
        return self.mean - reach, self.mean + reach

    def difference_p_value(self) -> float:
        """Return the two-sided p-value of the hypothesis that there is no difference."""
        return min(1.0, 2 * self._tail(abs(self.mean)))

    def equivalence_p_value(self, margin: float) -> float:
        """Return the p-value of the hypothesis that the difference is at least ``margin`` in either direction."""
        return max(self._tail(self.mean + margin), self._tail(margin - self.mean))

    def _tail(self, distance: float) -> float:
        """Return the probability of a mean at least ``distance`` above the hypothetical one."""
        return float(stats.t.sf(distance / self.error, self.freedom))


def rounding(step: float) -> float:
    """Return the standard deviation of a count in steps from rounding alone: that of a uniform distribution.

    Accuracies are counts, so that a few of them are often equal by chance. Without this lower bound, their zero spread
    would pass for certainty.
    """
    return step / math.sqrt(12)


def paired(first: Sequence[float], second: Sequence[float], step: float) -> Difference:
    """Return the difference of accuracies under the same seeds, in order, at least two of each.

    ``step`` is the smallest possible difference of two accuracies.
    """
    differences = np.asarray(first) - np.asarray(second)
    deviation = _deviation(differences)
    n = len(differences)
    error = max(deviation, math.sqrt(2) * rounding(step)) / math.sqrt(n)
    return Difference(float(differences.mean()), error, n - 1, deviation)


def unpaired(first: Sequence[float], second: Sequence[float], step: float) -> Difference:
    """Return the difference of accuracies under different seeds, at least two of each, with separate variances.

    ``step`` is the smallest possible difference of two accuracies.
    """
    samples = [np.asarray(first), np.asarray(second)]
    parts = [max(_deviation(sample), rounding(step)) ** 2 / len(sample) for sample in samples]
    error = math.sqrt(sum(parts))
    degrees = [len(sample) - 1 for sample in samples]
    shares = sum(part**2 / degree for part, degree in zip(parts, degrees, strict=True))
    freedom = error**4 / shares
    pooled = sum(degree * _deviation(sample) ** 2 for degree, sample in zip(degrees, samples, strict=True))
    deviation = math.sqrt(pooled / sum(degrees))
    return Difference(float(samples[0].mean() - samples[1].mean()), error, freedom, deviation)


def _deviation(sample: NDArray[np.float64]) -> float:
    # Rounding gives equal numbers a deviation of about 1e-17.
    return 0.0 if np.ptp(sample) < 1e-12 else float(sample.std(ddof=1))  # noqa: PLR2004  see above


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values, in their order, adjusted so that the chance of any false rejection stays below alpha."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def seeds_that_decide(difference: Difference, seeds: int, margin: float, alpha: float) -> int | None:
    """Return how many seeds beyond ``seeds`` let one of the tests decide at a power of 0.8; None beyond 1,000 seeds.

    Assumes that the measured mean and deviation are the true ones.
    """
    per_root = difference.error * math.sqrt(seeds)
    for n in count(seeds + 1):
        if n > MAX_SEEDS:
            return None
        error, freedom = per_root / math.sqrt(n), n - 1
        critical = float(stats.t.ppf(1 - alpha, freedom))
        two_sided = float(stats.t.ppf(1 - alpha / 2, freedom))
        different = float(stats.nct.sf(two_sided, freedom, abs(difference.mean) / error))
        equivalent = float(stats.nct.sf(critical, freedom, (margin - abs(difference.mean)) / error))
        # Both one-sided tests have to reject.
        other = float(stats.nct.sf(critical, freedom, (margin + abs(difference.mean)) / error))
        if different >= POWER or equivalent + other - 1 >= POWER:
            return n - seeds
    return None
