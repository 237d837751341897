"""One list of arrays, gradients or updates, against another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loopbench_diagnose.trace import Array, Arrays

# A variable whose part of the whole norm is smaller than this holds rounding and no direction.
SMALLEST_PART = 1e-6


@dataclass(frozen=True)
class Ratio:
    """``second ≈ scale × first``, by least squares over all variables together.

    ``residual`` is the norm of what is left, over that of second; ``by_variable`` the scale of each variable alone, NaN
    where first's is next to nothing; ``spread`` the largest relative distance of one of those from ``scale``.
    """

    scale: float
    residual: float
    by_variable: tuple[float, ...]

    @property
    def spread(self) -> float:
        """0 where the ratio is the same for every variable."""
        known = [value for value in self.by_variable if np.isfinite(value)]
        return max((abs(value / self.scale - 1) for value in known), default=0.0) if self.scale else float("inf")


def flat(arrays: Sequence[Array]) -> Array:
    """All values in one row."""
    return np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)


def norm(arrays: Sequence[Array]) -> float:
    """Euclidean norm over all arrays together."""
    return float(np.linalg.norm(flat(arrays)))


def subtract(first: Sequence[Array], second: Sequence[Array]) -> Arrays:
    """First - second, array by array."""
    return [one - other for one, other in zip(first, second, strict=True)]


def _finite(first: Sequence[Array], second: Sequence[Array]) -> tuple[Arrays, Arrays]:
    """Both, with zeros where neither is finite: what diverges on both sides shows nothing of a difference."""
    lost = [~np.isfinite(one) & ~np.isfinite(other) for one, other in zip(first, second, strict=True)]
    one, other = (
        [np.where(where, 0, array) for array, where in zip(side, lost, strict=True)] for side in (first, second)
    )
    return one, other


def gap(first: Sequence[Array], second: Sequence[Array]) -> float:
    """‖second - first‖ over ‖first‖; 0 where both are nothing, infinite where only second is, or one alone diverges."""
    one, other = _finite(first, second)
    difference, size = norm(subtract(other, one)), norm(one)
    if difference == 0:
        return 0.0
    return difference / size if size > 0 and np.isfinite(difference / size) else float("inf")


def _projection(first: Array, second: Array) -> float:
    size = float(first @ first)
    return float(first @ second) / size if size > 0 else float("nan")


def ratio(first: Sequence[Array], second: Sequence[Array]) -> Ratio:
    """How ``second`` follows from ``first``."""
    first, second = _finite(first, second)
    one, other = flat(first), flat(second)
    scale = _projection(one, other)
    size, whole = float(np.linalg.norm(other)), norm(first)
    if not np.isfinite(scale):
        scale, residual = 1.0, 0.0 if size == 0 else 1.0
    else:
        residual = float(np.linalg.norm(other - scale * one)) / size if size > 0 else 1.0
    return Ratio(
        scale=scale,
        residual=residual,
        by_variable=tuple(
            _projection(a.ravel(), b.ravel()) if norm([a]) > SMALLEST_PART * whole else float("nan")
            for a, b in zip(first, second, strict=True)
        ),
    )
