"""Identifies a loss by the gradient that it gives the outputs: a fit to a table of losses and of labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.comparison import distance
from loopbench_diagnose.trace import Array, OutputGradient

# Residual of a fit that identifies; that of the right loss is rounding.
FITS = 1e-3
SMOOTHING = (0.05, 0.1, 0.2, 0.3)
SHIFTS = (-1, 1)
# Of probabilities that are computed in two ways.
SAME_OUTPUT = 1e-6
# Labels that a loss compares with every output, and the samples for which that is tried.
BROADCAST = "the labels of all samples"
MOST_BROADCAST = 512

Function = Callable[..., Any]


@dataclass(frozen=True)
class Fit:
    """A loss of the table, times ``scale``, of labels that are those of the data where ``labels`` is empty.

    ``residual`` is relative; ``covered`` is the share of positions that have a gradient. ``from_logits`` says that the
    loss is a crossentropy that takes the outputs for logits. ``twice`` is the activation that the loss is given the
    outputs through, and takes its results for logits. ``slope`` and ``shift`` are those of labels that the loss takes
    as ``slope * labels + shift``.
    """

    name: str
    residual: float
    scale: float
    labels: str = ""
    covered: float = 1.0
    from_logits: bool = False
    twice: str = ""
    slope: float = 1.0
    shift: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether the loss is identified."""
        return self.residual < FITS

    def __str__(self) -> str:
        of = f" of {self.labels}" if self.labels else ""
        of += f", of {self.twice}(outputs) taken for logits" if self.twice else ""
        return f"{self.name}{of}" if self.fits else "a loss that is not in the table"


def _keras(name: str, **options: Any) -> Function:
    function = getattr(keras.losses, name)
    return lambda y, z: function(y, z, **options)


# By name: the loss of labels and outputs that are numbers.
OF_NUMBERS: dict[str, Function] = {
    "mean_squared_error": _keras("mean_squared_error"),
    "mean_absolute_error": _keras("mean_absolute_error"),
    "huber": _keras("huber"),
    "log_cosh": _keras("log_cosh"),
    "mean_squared_logarithmic_error": _keras("mean_squared_logarithmic_error"),
    "mean_absolute_percentage_error": _keras("mean_absolute_percentage_error"),
    "poisson": _keras("poisson"),
    "kl_divergence": _keras("kl_divergence"),
    "hinge": _keras("hinge"),
    "squared_hinge": _keras("squared_hinge"),
    "categorical_hinge": _keras("categorical_hinge"),
    "cosine_similarity": _keras("cosine_similarity"),
}
# The same of probabilities, and of logits; with options of their functions.
CROSSENTROPIES: dict[str, dict[str, Any]] = {
    "categorical_crossentropy": {},
    "binary_crossentropy": {},
    "binary_focal_crossentropy": {},
    "categorical_focal_crossentropy": {},
    **{f"categorical_crossentropy(label_smoothing={e})": {"label_smoothing": e} for e in SMOOTHING},
    **{f"binary_crossentropy(label_smoothing={e})": {"label_smoothing": e} for e in SMOOTHING},
}


# Activations that people apply before a loss that applies them as well, and that loss.
TWICE: dict[str, tuple[Function, str]] = {
    "softmax": (tf.nn.softmax, "categorical_crossentropy"),
    "sigmoid": (tf.nn.sigmoid, "binary_crossentropy"),
}


def _plain(y: Any, z: Any) -> Any:
    """Without dividing the probabilities by their sum, as people write it."""
    return -tf.reduce_sum(y * tf.math.log(tf.clip_by_value(z, 1e-7, 1.0)), axis=-1)


def _functions(*, of_logits: bool) -> Iterator[tuple[str, Function, bool]]:
    """Name, function, and whether it takes the model's outputs for logits; ``of_logits`` says that it is given some."""
    if not of_logits:
        yield from ((name, function, False) for name, function in OF_NUMBERS.items())
        yield "categorical_crossentropy", _plain, False
    for name, options in CROSSENTROPIES.items():
        function = name.partition("(")[0]
        yield name, _keras(function, from_logits=True, **options), not of_logits
        if not of_logits:
            yield name, _keras(function, **options), False


def as_outputs(labels: Any, values: Array) -> Array | None:
    """Labels in the shape of the outputs: as they are, as a column, or one-hot; None where they do not fit."""
    y = np.asarray(labels)
    if y.dtype.kind not in "fiub":
        return None
    classes = values.shape[-1] if values.ndim > 1 else 1
    if y.shape == values.shape:
        return y.astype(np.float64)
    if y.shape == values.shape[:-1] and classes == 1:
        return y[..., None].astype(np.float64)
    if (*values.shape, 1) == y.shape:
        return y[..., 0].astype(np.float64)
    if y.shape == (*values.shape[:-1], 1):
        y = y[..., 0]
    if y.shape == values.shape[:-1] and np.equal(np.mod(y, 1), 0).all() and y.min() >= 0 and y.max() < classes:
        return np.asarray(np.eye(classes)[y.astype(int)])
    return None


def gradient_of_logits(given: OutputGradient, logits: Array) -> OutputGradient | None:
    """The gradient of ``logits``, by the chain rule, where the outputs of ``given`` are their softmax or sigmoid."""
    outputs, gradient = given.values, given.gradient
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    softmax, mean = powers / powers.sum(axis=-1, keepdims=True), (gradient * outputs).sum(axis=-1, keepdims=True)
    sigmoid = 1 / (1 + np.exp(-logits))
    for activated, slope in ((softmax, gradient - mean), (sigmoid, gradient * (1 - outputs))):
        if np.allclose(activated, outputs, rtol=FITS, atol=SAME_OUTPUT):
            return OutputGradient(logits, outputs * slope, of_logits=True)
    return None


def _gradient(function: Function, y: Array, z: Array) -> Array | None:
    values = tf.constant(z, tf.float32)
    try:
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(function(tf.constant(y, tf.float32), values))
        found = tape.gradient(loss, values)
    except Exception:  # noqa: BLE001  a loss that does not take such labels
        return None
    return None if found is None else np.asarray(found, np.float64)


def _fit(name: str, made: Array, given: OutputGradient, labels: str = "") -> Fit:
    gradient = given.gradient
    with_gradient = np.any(gradient != 0, axis=-1) if gradient.ndim > 1 else gradient != 0
    a, b = made[with_gradient].ravel(), gradient[with_gradient].ravel()
    size = float(a @ a)
    if not size or not np.isfinite(b).all() or not np.isfinite(a).all():
        return Fit(name, float("inf"), 1.0, labels)
    scale = float(a @ b) / size
    return Fit(name, distance(scale * a, b), scale, labels, float(with_gradient.mean()))


def identify(labels: Any, given: OutputGradient) -> Fit | None:
    """The loss and the labels that explain a gradient of outputs; the best one where none does, None without labels."""
    y = as_outputs(labels, given.values)
    fits = []
    if y is not None:
        fits = [*_fits(y, given), *_twice(y, given)]
        found = min((fit for fit in fits if fit.fits), key=_rank, default=None)
        if found is not None:
            return found
        crossed = min(_crossed(y, given), key=lambda fit: fit.residual, default=None)
        if crossed is not None and crossed.fits:
            return crossed
        fits += [fit for fit in (_linear(y, given), _smooth(y, given)) if fit is not None]
    fits += list(_shifted(labels, given))
    return min(fits, key=lambda fit: fit.residual, default=None)


def _rank(fit: Fit) -> tuple[bool, float]:
    """A divergence is the crossentropy plus a constant of the labels: its gradient is no other."""
    return fit.name == "kl_divergence", fit.residual


def _fits(y: Array, given: OutputGradient, labels: str = "") -> Iterator[Fit]:
    for name, function, from_logits in _functions(of_logits=given.of_logits):
        made = _gradient(function, y, given.values)
        if made is not None and made.shape == given.gradient.shape:
            yield replace(_fit(name, made, given, labels), from_logits=from_logits)


def _twice(y: Array, given: OutputGradient) -> Iterator[Fit]:
    if given.of_logits:
        return
    for activation, (function, name) in TWICE.items():
        loss = _keras(name, from_logits=True)
        made = _gradient(lambda labels, z, f=function, loss=loss: loss(labels, f(z)), y, given.values)
        if made is not None and made.shape == given.gradient.shape:
            yield replace(_fit(name, made, given), from_logits=True, twice=activation)


def _crossed(y: Array, given: OutputGradient) -> Iterator[Fit]:
    """Labels (n,) that are broadcast against outputs (n, 1): the loss of every output with every label."""
    count = len(y)
    if y.shape != (count, 1) or count > MOST_BROADCAST:
        return
    outputs = OutputGradient(np.repeat(given.values, count, axis=0), given.gradient, given.of_logits)
    for name, function, from_logits in _functions(of_logits=given.of_logits):
        made = _gradient(function, np.tile(y, (count, 1)), outputs.values)
        if made is not None and made.shape == outputs.values.shape:
            summed = made.reshape(count, count).sum(axis=1, keepdims=True)
            yield replace(_fit(name, summed, given, BROADCAST), from_logits=from_logits)


def _shifted(labels: Any, given: OutputGradient) -> Iterator[Fit]:
    """Classes that are numbered otherwise: shifted by one, or in reverse."""
    y, classes = np.asarray(labels), given.values.shape[-1]
    if y.dtype.kind not in "iuf" or not np.equal(np.mod(y, 1), 0).all() or classes == 1:
        return
    if y.shape == given.values.shape:
        y = y.argmax(axis=-1)
    renumbered = {f"labels {shift:+d}": y + shift for shift in SHIFTS} | {"labels in reverse": classes - 1 - y}
    renumbered |= {f"labels {shift:+d}, modulo {classes}": (y + shift) % classes for shift in SHIFTS}
    for stated, values in renumbered.items():
        inside = as_outputs(values, given.values) if values.min() >= 0 and values.max() < classes else None
        if inside is None:
            inside = _one_hot(values, given.values)
        if inside is not None:
            yield from _fits(inside, given, stated)


def _one_hot(values: Any, like: Array) -> Array | None:
    """As TensorFlow's one_hot: zeros for what is no class."""
    y = values[..., 0] if values.ndim == like.ndim and values.shape[-1] == 1 else values
    return np.asarray(tf.one_hot(y.astype(int), like.shape[-1]), np.float64) if y.shape == like.shape[:-1] else None


def _linear(y: Array, given: OutputGradient) -> Fit | None:
    """Gradients that are linear in outputs and labels: squares, or a crossentropy of logits, of a · labels + b."""
    z = given.values
    best = None
    made: dict[str, Array] = {} if given.of_logits else {"mean_squared_error": z}
    made["binary_crossentropy"] = 1 / (1 + np.exp(-np.clip(z, -60, 60)))
    if z.shape[-1] > 1:
        exponents = np.exp(z - z.max(axis=-1, keepdims=True))
        made["categorical_crossentropy"] = exponents / exponents.sum(axis=-1, keepdims=True)
    for name, prediction in made.items():
        found = _regress(prediction, y, given.gradient)
        if found is None:
            continue
        scale, slope, shift, residual = found
        if best is None or residual < best.residual:
            if abs(slope - 1) < FITS and abs(shift) < FITS * max(1e-9, float(np.abs(y).max())):
                slope, shift = 1.0, 0.0
            stated = f"{slope:.5g} · labels {shift:+.5g}" if (slope, shift) != (1, 0) else ""
            of_logits = name != "mean_squared_error" and not given.of_logits
            factor = z.size if name == "mean_squared_error" else 1
            best = Fit(name, residual, scale * factor, stated, from_logits=of_logits, slope=slope, shift=shift)
    return best


def _regress(prediction: Array, y: Array, gradient: Array) -> tuple[float, float, float, float] | None:
    """Of gradient = scale · (prediction - (slope · y + shift)): scale, slope, shift and the relative residual."""
    if not np.isfinite(gradient).all() or np.ptp(y) == 0:
        return None
    columns = np.stack([prediction.ravel(), y.ravel(), np.ones(y.size)], axis=1)
    found, *_ = np.linalg.lstsq(columns, gradient.ravel(), rcond=None)
    scale, slope, shift = (float(value) for value in found)
    # Without a part of the outputs it is no such gradient, and its labels would be rounding over rounding.
    if abs(scale) * np.linalg.norm(prediction) <= FITS * np.linalg.norm(gradient):
        return None
    return scale, -slope / scale, -shift / scale, distance(columns @ found, gradient.ravel())


# Functions of labels that people apply before the loss.
TRANSFORMS: dict[str, Callable[[Array], Array]] = {
    "log(labels)": np.log,
    "log(1 + labels)": np.log1p,
    "the square root of labels": np.sqrt,
    "the square of labels": np.square,
    "exp(labels)": np.exp,
    "-labels": np.negative,
}


def _smooth(y: Array, given: OutputGradient) -> Fit | None:
    if given.of_logits:
        return None
    fits = []
    for stated, transform in TRANSFORMS.items():
        with np.errstate(all="ignore"):
            values = transform(y)
        if np.isfinite(values).all():
            fits += [
                _fit(name, made, given, stated)
                for name in ("mean_squared_error", "mean_absolute_error")
                if (made := _gradient(OF_NUMBERS[name], values, given.values)) is not None
            ]
    return min(fits, key=lambda fit: fit.residual, default=None)
