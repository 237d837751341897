"""Initial weights that are far too small or too large."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.reasons import Reason

# Times the deviation of Glorot's initializer, or less than one over it.
FAR = 4.0


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Keras's default initializers."""
    far = [kernel for kernel in bench.kernels if not _usual(np.asarray(kernel))]
    if far:
        size = float(np.asarray(far[0]).std())
        yield Remedy(
            Reason.INITIAL_WEIGHTS if size else Reason.CONSTANT_INITIALIZATION,
            f"The initial weights of {far[0].path} have a deviation of {size:.2g}",
            "Leave the kernel initializer at its default",
            {"initial": True},
        )


def _usual(kernel: Any) -> bool:
    columns = kernel.reshape(-1, kernel.shape[-1])
    glorot = np.sqrt(2 / sum(columns.shape))
    return bool(glorot / FAR <= columns.std() <= glorot * FAR)
