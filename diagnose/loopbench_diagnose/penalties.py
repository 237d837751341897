"""Penalties that people add to a loss by hand, by what their gradients are made of."""

from collections.abc import Callable

import numpy as np

from loopbench_diagnose.gradients import ratio
from loopbench_diagnose.trace import Array, Arrays

# Residual of a fit, relative to what is fitted.
FITS = 1e-2

OF_WEIGHTS: dict[str, Callable[[Array], Array]] = {
    "the weights (an L2 penalty)": lambda weights: weights,
    "the weights' signs (an L1 penalty)": np.sign,
}
OF_OUTPUTS: dict[str, Callable[[Array], Array]] = {
    "the values (an L2 penalty, or the divergence of a Gaussian's mean)": lambda values: values,
    "the signs (an L1 penalty)": np.sign,
    "exp(values) - 1 (the divergence of a Gaussian's log variance)": np.expm1,
}


def multiple_of(gradient: Arrays, left: Arrays) -> float | None:
    """The number that makes ``left`` of ``gradient``; None where none does, variable by variable."""
    found = ratio(gradient, left)
    return found.scale if found.residual < FITS else None
