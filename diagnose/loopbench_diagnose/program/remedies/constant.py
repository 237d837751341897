"""Initial weights that are the same for all units of a layer."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.reasons import Reason


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Keras's default initializers, where the units of a hidden layer are equal."""
    # Equal units of the last layer have different labels.
    same = [kernel for kernel in bench.kernels[:-1] if _units_are_equal(np.asarray(kernel))]
    if same:
        yield Remedy(
            Reason.CONSTANT_INITIALIZATION,
            f"All units of {same[0].path} start with the same weights",
            "Leave the kernel initializer at its default",
            {"initial": True},
            "Units with equal weights get equal gradients: they stay equal, and the layer has in effect one unit.",
        )


def _units_are_equal(kernel: Any) -> bool:
    columns = kernel.reshape(-1, kernel.shape[-1])
    return columns.shape[1] > 1 and bool(np.ptp(columns, axis=1).max() == 0)
