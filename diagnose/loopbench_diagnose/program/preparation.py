"""How a loop prepares the samples before it feeds them to the model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.data import Data, leaves, map_arrays
from loopbench_diagnose.losses import FITS, TRANSFORMS, as_outputs, identify
from loopbench_diagnose.trace import Step

# Times that deviations differ, and deviations that means differ by, where inputs are prepared in different ways.
APART, SHIFTED = 3.0, 2.0
# Relative residual of values that are fed as a multiple of themselves.
AFFINE = 1e-4
# Samples whose columns show a multiple each.
FEWEST_ROWS = 4
# Decimal digits of the multiple. More are rounding errors, by which labels of 0 would no longer be 0.
DIGITS = 9


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


# Functions of labels that prepare them; the others make them others.
PREPARING = TRANSFORMS.keys() - {"-labels"}
# The loss that has a form for classes, which need not be one-hot.
OF_CLASSES = "categorical_crossentropy"

Prepare = Callable[[Data], Data]


def preparation(given: Data, step: Step) -> Prepare:
    """Prepares samples as a loop does that takes the first ones of ``given`` in ``step``, in their order.

    Inputs that are fed in another shape, as ``a * x + b``, or with such numbers for each column, and labels that are
    fed one-hot, as a column, as ``a * y + b`` or as a function of the table of losses, are prepared like those of the
    step, the validation set too. The inputs are the labels where there are no others and a loss takes them so. What is
    fed otherwise stays as it is.
    """
    x = _inputs(given.x, step.call.inputs)
    labels = step.losses[0].labels if len(step.losses) == 1 else _by_gradient(given.y, step)
    y = _unchanged if labels is None else _labels(given.y, labels)
    reconstructs = given.y is None and takes_inputs(step)

    def prepared(data: Data) -> Data:
        validation = None if data.validation is None else prepared(data.validation)
        inputs = x(data.x)
        return replace(data, x=inputs, y=inputs if reconstructs else y(data.y), validation=validation)

    return prepared


def takes_inputs(step: Step) -> bool:
    """Whether the gradient of the only output shows that the labels of the loss are the inputs."""
    inputs, gradients = leaves(step.call.inputs), step.output_gradients
    if len(inputs) != 1 or len(gradients) != 1 or np.shape(inputs[0]) != gradients[0].values.shape:
        return False
    fit = identify(inputs[0], gradients[0])
    return fit is not None and fit.fits and not fit.labels


def _by_gradient(given: Any, step: Step) -> Any:
    """The labels of a loss of the loop's own, if the gradient of the only output shows how it prepares them.

    Classes that are numbered otherwise stay as they are: that is a fault.
    """
    one, gradients = leaves(given), step.output_gradients
    if step.losses or len(one) != 1 or len(gradients) != 1:
        return None
    first = np.asarray(one[0])[: len(gradients[0].values)]
    made, fit = as_outputs(first, gradients[0].values), identify(first, gradients[0])
    if made is None or fit is None or not fit.fits:
        return None
    if fit.labels in PREPARING:
        return TRANSFORMS[fit.labels](made)
    if (fit.slope, fit.shift) != (1, 0):
        fed = fit.slope * made + fit.shift
        # Labels that are turned around, or that hardly count, are no preparation.
        return fed if fit.slope > 0 and np.ptp(fed) > FITS * np.abs(fed).max() else None
    if fit.labels:
        return None
    return made if made.size != first.size and fit.name != OF_CLASSES else None


def _unchanged(arrays: Any) -> Any:
    return arrays


def _transformed(first: Any, fed: Any) -> Any:
    """A function of the table that makes ``fed`` of ``first``."""
    if first.dtype.kind not in "iuf" or np.array_equal(first.ravel(), np.ravel(fed)):
        return _unchanged
    shape = np.shape(fed)[1:]
    for name in sorted(PREPARING):

        def made(leaf: Any, transform: Any = TRANSFORMS[name]) -> Any:
            return transform(np.asarray(leaf, np.float64)).reshape(len(leaf), *shape).astype(np.float32)

        with np.errstate(all="ignore"):
            fits = np.allclose(made(first), fed, rtol=AFFINE, atol=AFFINE)
        if fits:
            return lambda arrays, made=made: keras.tree.map_structure(made, arrays)
    return _unchanged


def _inputs(given: Any, fed: Any) -> Any:
    one, other = leaves(given), leaves(fed)
    if len(one) != len(other):
        return _unchanged
    made = [_input(np.asarray(before), np.asarray(after)) for before, after in zip(one, other, strict=True)]
    if all(function is _unchanged for function in made):
        return _unchanged

    def prepared(arrays: Any) -> Any:
        values = iter([function(leaf) for function, leaf in zip(made, leaves(arrays), strict=True)])
        return map_arrays(lambda _: next(values), arrays)

    return prepared


def _input(given: Any, after: Any) -> Any:
    before = given[: len(after)]
    if before.size != after.size or before.dtype.kind not in "iuf" or after.dtype.kind not in "iuf":
        return _unchanged
    slope, shift = _affine(before.ravel(), after.ravel())
    if slope is None:
        slope, shift = _by_column(before, after)
    if slope is None or (before.shape == after.shape and np.array_equal(before, after)):
        return _unchanged
    shape, dtype = after.shape[1:], after.dtype
    return lambda leaf: (slope * np.asarray(leaf, np.float64) + shift).reshape(len(leaf), *shape).astype(dtype)


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
    return float(f"{slope:.{DIGITS}g}"), _rounded(shift, float(np.abs(y).max()))


def _by_column(before: Any, after: Any) -> tuple[Any, Any]:
    """Slopes and shifts in the shape of a sample; None where a column is no multiple, or the same in all samples."""
    if before.ndim < 2 or len(before) < FEWEST_ROWS:  # noqa: PLR2004  samples and columns
        return None, None
    columns = zip(before.reshape(len(before), -1).T, after.reshape(len(after), -1).T, strict=True)
    found = [_affine(*column) for column in columns]
    if any(slope is None for slope, _ in found):
        return None, None
    slopes, shifts = (np.reshape(numbers, before.shape[1:]) for numbers in zip(*found, strict=True))
    return slopes, shifts


def _rounded(shift: float, size: float) -> float:
    """The shift to the digits of values of a size; 0 where it has none of them."""
    return round(shift, DIGITS - 1 - int(np.floor(np.log10(size)))) + 0.0 if size else 0.0


def _labels(given: Any, fed: Any) -> Any:
    """Labels in the shape of ``fed``, where those of the step are fed so."""
    one = leaves(given)
    if len(one) != 1:
        return _unchanged
    first = np.asarray(one[0])[: len(fed)]
    made = as_outputs(first, np.zeros(np.shape(fed)))
    if first.size == np.size(fed):
        scaled = _inputs(given, fed)
        return scaled if scaled is not _unchanged else _transformed(first, fed)
    if made is None or not np.array_equal(made, fed):
        return _unchanged
    like = np.zeros((1, *np.shape(fed)[1:]))

    def shaped(leaf: Any) -> Any:
        return np.asarray(as_outputs(leaf, np.broadcast_to(like, (len(leaf), *like.shape[1:]))), np.float32)

    return lambda arrays: keras.tree.map_structure(shaped, arrays)
