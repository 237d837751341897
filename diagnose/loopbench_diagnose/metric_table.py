"""Metrics recomputed from labels and outputs, in the ways in which people compute them."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.losses import as_outputs
from loopbench_diagnose.trace import Array

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))

Variant = tuple[str, float]


def _counts(y: Array, p: Array) -> tuple[float, float, float]:
    """True positives, false positives and false negatives."""
    return float((y * p).sum()), float(((1 - y) * p).sum()), float((y * (1 - p)).sum())


def _divide(a: float, b: float) -> float:
    return a / b if b else 0.0


def precision(y: Array, p: Array) -> float:
    """Of boolean labels and predictions."""
    hits, false, _ = _counts(y, p)
    return _divide(hits, hits + false)


def recall(y: Array, p: Array) -> float:
    """Of boolean labels and predictions."""
    hits, _, missed = _counts(y, p)
    return _divide(hits, hits + missed)


def f1(y: Array, p: Array) -> float:
    """Of boolean labels and predictions."""
    hits, false, missed = _counts(y, p)
    return _divide(2 * hits, 2 * hits + false + missed)


SHARES = ("binary_accuracy", "accuracy", "acc")
COUNTED: dict[str, Callable[[Array, Array], float]] = {
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "f1_score": f1,
    **dict.fromkeys(SHARES, lambda y, p: float((y == p).mean())),
}

ERRORS: dict[str, Callable[[Array, Array], Array]] = {
    "mae": lambda y, z: np.abs(y - z),
    "mean_absolute_error": lambda y, z: np.abs(y - z),
    "mse": lambda y, z: (y - z) ** 2,
    "mean_squared_error": lambda y, z: (y - z) ** 2,
    "mape": lambda y, z: 100 * np.abs((y - z) / np.maximum(np.abs(y), 1e-7)),
    "mean_absolute_percentage_error": lambda y, z: 100 * np.abs((y - z) / np.maximum(np.abs(y), 1e-7)),
}
ROOTS = ("rmse", "root_mean_squared_error")


def variants(kind: str, labels: Any, outputs: Array, weights: Any, batches: list[slice]) -> Iterator[Variant]:
    """Each way of computing the metric ``kind``, in words, with its value."""
    y = as_outputs(labels, outputs)
    if y is None:
        return
    yield from _counted(kind, y, outputs, weights, batches)
    yield from _errors(kind, y, outputs, weights, batches)
    yield from _ranked(kind, y, outputs, batches)


def _counted(kind: str, y: Array, z: Array, weights: Any, batches: list[slice]) -> Iterator[Variant]:
    count = COUNTED.get(kind)
    if count is None or not np.isin(y, (0, 1)).all():
        return
    for threshold in (0.5, 0.0, *(t for t in THRESHOLDS if t != 0.5)):  # noqa: PLR2004
        p = (z > threshold).astype(np.float64)
        yield f"at threshold {threshold:g} over all samples", count(y, p)
        yield f"the mean over batches at threshold {threshold:g}", float(np.mean([count(y[b], p[b]) for b in batches]))
        yield f"at threshold {threshold:g} of the last batch", count(y[batches[-1]], p[batches[-1]])
    if kind in SHARES and weights is not None and np.size(weights) == np.size(y):
        for threshold in (0.5, 0.0):
            right = np.ravel((z > threshold) == y)
            yield f"at threshold {threshold:g}, weighted by the sample weights", _average(right, weights)
    if z.shape[-1] > 1:
        p = (z == z.max(axis=-1, keepdims=True)).astype(np.float64)
        yield "of the largest output, averaged over all values", count(y, p)
        each = [count(y[..., c], p[..., c]) for c in range(z.shape[-1])]
        yield "the mean over classes (macro)", float(np.mean(each))
        yield (
            "weighted by the classes' sizes",
            float(np.average(each, weights=np.maximum(y.reshape(-1, z.shape[-1]).sum(axis=0), 1e-12))),
        )
        hits = (y.argmax(-1) == z.argmax(-1)).astype(np.float64)
        if kind in ("accuracy", "acc"):
            yield "the share of samples in their class", float(hits.mean())
            if weights is not None and np.shape(weights)[0] == len(hits) and hits.ndim == 1:
                yield "weighted by the sample weights", _average(hits, weights)


def _errors(kind: str, y: Array, z: Array, weights: Any, batches: list[slice]) -> Iterator[Variant]:
    root = kind in ROOTS
    function = ERRORS.get("mse" if root else kind)
    if function is None:
        return
    values = function(y, z)
    done: Callable[[float], float] = (lambda v: float(np.sqrt(v))) if root else float
    yield "over all values", done(values.mean())
    yield "the mean over batches", float(np.mean([done(values[b].mean()) for b in batches]))
    yield "of the last batch", done(values[batches[-1]].mean())
    yield "summed over the outputs", done(values.sum() / len(values))
    yield "the sum over all values", done(values.sum())
    yield "the median", done(float(np.median(values)))
    yield (
        "without the square root" if root else "with a square root",
        float(values.mean()) if root else float(np.sqrt(values.mean())),
    )
    if weights is not None and np.size(weights) == len(values):
        each = values.reshape(len(values), -1).mean(axis=1)
        yield "weighted by the sample weights", done(_average(each, weights))


def _average(values: Array, weights: Any) -> float:
    return float(np.average(values, weights=np.ravel(weights)))


def _ranked(kind: str, y: Array, z: Array, batches: list[slice]) -> Iterator[Variant]:
    if "auc" not in kind or not np.isin(y, (0, 1)).all():
        return
    probabilities = bool((z >= 0).all() and (z <= 1).all())
    for curve, count, logits in itertools.product(("ROC", "PR"), (200, 1000, 50), (False, True)):
        # Keras refuses outputs that are no probabilities, unless they are logits.
        if logits or probabilities:
            area = partial(_area, curve, count, logits)
            yield f"{curve} curve, {count} thresholds{', from logits' if logits else ''}", area(y, z)
            yield f"the mean over batches, {curve} curve", float(np.mean([area(y[part], z[part]) for part in batches]))


def _area(curve: str, thresholds: int, logits: bool, y: Array, z: Array) -> float:
    metric = keras.metrics.AUC(num_thresholds=thresholds, curve=curve, from_logits=logits)
    metric.update_state(y, z)
    return float(np.asarray(keras.ops.convert_to_numpy(metric.result())))
