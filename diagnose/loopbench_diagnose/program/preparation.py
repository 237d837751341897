"""How a loop prepares the samples before it feeds them to the model."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.data import Data, leaves
from loopbench_diagnose.losses import as_outputs
from loopbench_diagnose.trace import Step

# Times that deviations differ, and deviations that means differ by, where inputs are prepared in different ways.
APART, SHIFTED = 3.0, 2.0
# Relative residual of values that are fed as a multiple of themselves.
AFFINE = 1e-4


def are_apart(one: Data, other: Data) -> bool:
    """Whether the inputs of two sets lie in different places: they are prepared in different ways."""
    pairs = zip(leaves(one.x), leaves(other.x), strict=True)
    return any(_are_apart(np.asarray(a), np.asarray(b)) for a, b in pairs)


def _are_apart(one: Any, other: Any) -> bool:
    if one.dtype.kind not in "iuf" or other.dtype.kind not in "iuf":
        return False
    a, b = float(one.std()), float(other.std())
    if not a or not b:
        return False
    return bool(max(a / b, b / a) > APART or abs(one.mean() - other.mean()) > SHIFTED * max(a, b))


def as_fed(given: Data, step: Step) -> Data:
    """The samples as a loop feeds them that takes the first ones of ``given`` in ``step``, in their order.

    Inputs that are fed in another shape, or as ``a * x + b``, and labels that are fed one-hot or as a column, are all
    prepared like those of the step; the validation set is prepared likewise. What is fed otherwise stays as it is.
    """
    x = _inputs(given.x, step.call.inputs)
    labels = step.losses[0].labels if len(step.losses) == 1 else None
    y = (lambda arrays: arrays) if labels is None else _labels(given.y, labels)
    validation = given.validation
    if validation is not None:
        validation = replace(validation, x=x(validation.x), y=y(validation.y))
    return replace(given, x=x(given.x), y=y(given.y), validation=validation)


def _inputs(given: Any, fed: Any) -> Any:
    one, other = leaves(given), leaves(fed)
    if len(one) != 1 or len(other) != 1:
        return lambda arrays: arrays
    before, after = np.asarray(one[0]), np.asarray(other[0])
    before = before[: len(after)]
    if before.size != after.size or before.dtype.kind not in "iuf" or after.dtype.kind not in "iuf":
        return lambda arrays: arrays
    slope, shift = _affine(before.ravel(), after.ravel())
    if slope is None:
        return lambda arrays: arrays
    shape, dtype = after.shape[1:], after.dtype

    def prepared(arrays: Any) -> Any:
        return keras.tree.map_structure(
            lambda leaf: (slope * np.asarray(leaf, np.float64) + shift).reshape(len(leaf), *shape).astype(dtype), arrays
        )

    return prepared


def _affine(before: Any, after: Any) -> tuple[float | None, float]:
    """Slope and shift; None where ``after`` is no such multiple of ``before``."""
    x, y = before.astype(np.float64), after.astype(np.float64)
    centred = x - x.mean()
    size = float(centred @ centred)
    if not size:
        return None, 0.0
    slope = float(centred @ y) / size
    shift = float(y.mean() - slope * x.mean())
    residual = float(np.abs(slope * x + shift - y).max())
    if not slope or residual > AFFINE * max(float(np.ptp(y)), 1e-12):
        return None, 0.0
    return slope, shift


def _labels(given: Any, fed: Any) -> Any:
    """Labels in the shape of ``fed``, where those of the step are fed so."""
    one = leaves(given)
    if len(one) != 1:
        return lambda arrays: arrays
    first = np.asarray(one[0])[: len(fed)]
    made = as_outputs(first, np.zeros(np.shape(fed)))
    if first.shape == np.shape(fed) or made is None or not np.array_equal(made, fed):
        return lambda arrays: arrays
    like = np.zeros((1, *np.shape(fed)[1:]))

    def shaped(leaf: Any) -> Any:
        return np.asarray(as_outputs(leaf, np.broadcast_to(like, (len(leaf), *like.shape[1:]))), np.float32)

    return lambda arrays: keras.tree.map_structure(shaped, arrays)
