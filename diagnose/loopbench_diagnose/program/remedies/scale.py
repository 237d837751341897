"""Inputs and targets far from unit scale."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from loopbench.spec import Reason
from loopbench_diagnose.data import leaves
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.program.surgery import LINEAR
from loopbench_diagnose.program.tasks import NUMERIC

layers = keras.layers
# Layers that bring inputs to unit scale, or that take numbers for names.
PREPARING = (layers.Rescaling, layers.Normalization, layers.BatchNormalization, layers.Embedding)
# Root mean squares that count as unit scale.
UNIT = (0.2, 5.0)


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Inputs, and labels that are numbers, put to mean 0 and deviation 1."""
    program = bench.program
    x, y = leaves(program.training.x), leaves(program.training.y)
    inputs = len(x) == 1 and _far(x[0]) and not any(isinstance(layer, PREPARING) for layer in bench.anatomy.order[:3])
    if inputs:
        yield Remedy(
            Reason.INPUT_SCALE,
            f"The inputs are far from unit scale: {_stated(x[0])}",
            "Subtract the training set's mean from the inputs and divide them by its deviation",
            {"inputs": True},
        )
    if len(y) == 1 and program.task.kind in NUMERIC and _far(y[0]):
        changes: dict[str, Any] = {"targets": True}
        if bench.anatomy.output not in {None, LINEAR}:
            changes |= {"output": LINEAR}
        yield Remedy(
            Reason.INPUT_SCALE,
            f"The targets are far from unit scale: {_stated(y[0])}",
            "Subtract the training set's mean from the targets and divide them by its deviation; undo that for "
            "predictions",
            changes,
        )
        if inputs:
            yield Remedy(
                Reason.INPUT_SCALE,
                f"The inputs and the targets are far from unit scale: {_stated(x[0])}; {_stated(y[0])}",
                "Subtract the training set's means from the inputs and from the targets and divide them by their "
                "deviations; undo that for predictions",
                changes | {"inputs": True},
            )


def _columns(values: Any) -> Any:
    array = np.asarray(values, np.float64)
    return array if array.ndim == 2 else array.reshape(-1, 1)  # noqa: PLR2004  samples and columns


def _far(values: Any) -> bool:
    """Whether a column has a root mean square that is far from 1."""
    if np.asarray(values).dtype.kind not in "iuf":
        return False
    sizes = np.sqrt((_columns(values) ** 2).mean(axis=0))
    sizes = sizes[sizes > 0]
    return bool(len(sizes)) and not (UNIT[0] <= sizes.min() and sizes.max() <= UNIT[1])


def _stated(values: Any) -> str:
    array = _columns(values)
    return f"mean {array.mean():.3g}, deviation {array.std():.3g}, from {array.min():.3g} to {array.max():.3g}"
