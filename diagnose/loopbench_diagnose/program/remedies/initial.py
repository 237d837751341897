"""Initial weights that are far too small or too large."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from loopbench.spec import Reason
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy

# Times the deviation of Glorot's initializer, or less than one over it.
FAR = 4.0


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Keras's default initializers."""
    far = [kernel for kernel in bench.kernels if not _usual(np.asarray(kernel))]
    if far:
        size = float(np.asarray(far[0]).std())
        small = size < _glorot(np.asarray(far[0]))
        yield Remedy(
            Reason.CONSTANT_INITIALIZATION if small else Reason.INITIAL_WEIGHTS,
            f"The initial weights of {far[0].path} have a deviation of {size:.2g}"
            + (": its units are nearly equal" if small else ""),
            "Leave the kernel initializer at its default",
            {"initial": True},
        )


def _usual(kernel: Any) -> bool:
    return bool(_glorot(kernel) / FAR <= kernel.std() <= _glorot(kernel) * FAR)


def _glorot(kernel: Any) -> float:
    """The deviation of Glorot's initializer."""
    return float(np.sqrt(2 / sum(kernel.reshape(-1, kernel.shape[-1]).shape)))
