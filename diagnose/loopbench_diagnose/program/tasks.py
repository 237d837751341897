"""What labels are, by their values and shapes, and how well outputs meet them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from loopbench_diagnose.trace import Array

# Different integers that are classes at most, where a single output does not say.
MOST_CLASSES = 20


class Kind(StrEnum):
    """Kinds of labels."""

    BINARY = "0 or 1"
    PLUS_MINUS = "-1 or +1"
    CLASSES = "indices of classes"
    ONE_HOT = "one-hot, or shares of classes"
    MULTI_LABEL = "several labels of 0 or 1"
    NUMBERS = "numbers"
    RECONSTRUCTION = "the inputs themselves"
    NONE = "none"


NUMERIC = frozenset({Kind.NUMBERS, Kind.RECONSTRUCTION})


@dataclass(frozen=True)
class Task:
    """Labels of one output: their ``kind``, how many ``classes`` there are, and whether each step has one (``steps``).

    ``chance`` is the score of the best constant on the labels that the task was recognized by.
    """

    kind: Kind
    classes: int = 0
    steps: bool = False
    chance: float = 0.0

    def score(self, labels: Any, outputs: Any, *, logits: bool = False) -> float:
        """How well ``outputs`` meet ``labels``: accuracy, or R² between -1 and 1 for numbers; 1 is best.

        Outputs that are not finite have the lowest score: 0, or -1 for numbers. ``logits`` says that 0 is the threshold
        of a single output, and not 1/2.
        """
        if self.kind is Kind.NONE:
            return float("nan")
        y, z = np.asarray(labels, np.float64), np.asarray(outputs, np.float64)
        if not np.isfinite(z).all():
            return -1.0 if self.kind in NUMERIC else 0.0
        if self.kind in NUMERIC:
            return _explained(y, z)
        if self.kind is Kind.MULTI_LABEL:
            return float(np.mean((z > (0 if logits else 1 / 2)) == (y > 1 / 2)))
        return float(np.mean(self.decided(z, logits=logits) == self.truth(y)))

    def truth(self, labels: Any) -> Any:
        """The class of every label."""
        y = np.asarray(labels)
        if self.kind is Kind.ONE_HOT:
            return y.argmax(axis=-1)
        y = y[..., 0] if y.ndim > 1 + self.steps and y.shape[-1] == 1 else y
        return y > 0 if self.kind is Kind.PLUS_MINUS else y.astype(int)

    def decided(self, outputs: Any, *, logits: bool = False) -> Any:
        """The class that every output stands for."""
        z = np.asarray(outputs)
        single = z.ndim == 1 + self.steps or z.shape[-1] == 1
        if not single:
            return z.argmax(axis=-1)
        z = z[..., 0] if z.ndim > 1 + self.steps else z
        if self.kind in {Kind.BINARY, Kind.PLUS_MINUS}:
            return z > (0 if logits or self.kind is Kind.PLUS_MINUS else 1 / 2)
        return np.rint(z)


def _explained(labels: Array, outputs: Array) -> float:
    """R²: 1 less the squared error over that of the mean, column by column, no lower than -1."""
    y, z = labels.reshape(len(labels), -1), outputs.reshape(len(outputs), -1)
    if y.shape != z.shape:
        return -1.0
    total = float(((y - y.mean(axis=0)) ** 2).sum())
    error = float(((y - z) ** 2).sum())
    if not np.isfinite(error):
        return -1.0
    return max(-1.0, 1 - error / total) if total else float(error == 0)


def recognize(labels: Any, inputs: Any, output_shape: tuple[int, ...]) -> Task:
    """The task of one output: its labels, the program's inputs, and the shape of a batch of outputs."""
    if labels is None:
        return Task(Kind.NONE)
    y = np.asarray(labels)
    if y.dtype.kind not in "iufb":
        return Task(Kind.NONE)
    if isinstance(inputs, np.ndarray) and _is_same(y, inputs):
        return Task(Kind.RECONSTRUCTION)
    units = output_shape[-1] if len(output_shape) > 1 else 1
    kind, classes = _kind(y, units, per_step=len(output_shape) > y.ndim)
    steps = kind in {Kind.CLASSES, Kind.BINARY, Kind.ONE_HOT, Kind.PLUS_MINUS} and _has_steps(y, kind)
    task = Task(kind, classes, steps)
    return Task(kind, classes, steps, _chance(task, y))


def _is_same(y: Any, x: Any) -> bool:
    return y.size == x.size and len(y) == len(x) and y.size > len(y) and np.array_equal(y.ravel(), x.ravel())


def _has_steps(y: Any, kind: Kind) -> bool:
    rank = y.ndim - 1 if kind is Kind.ONE_HOT else y.ndim - (y.ndim > 1 and y.shape[-1] == 1)
    return bool(rank > 1)


def _kind(y: Any, units: int, *, per_step: bool) -> tuple[Kind, int]:
    """The kind of labels, and how many classes there are; ``units`` are those of the model's last layer.

    ``per_step`` says that the outputs have one axis more than the labels: a class for each step.
    """
    wide = y.ndim > 1 and y.shape[-1] > 1 and not per_step
    if wide and y.shape[-1] == units and y.min() >= 0 and np.allclose(y.sum(axis=-1), 1):
        # Smoothed or mixed labels are shares of classes.
        return Kind.ONE_HOT, units
    if not np.isfinite(y).all() or not np.equal(np.mod(y, 1), 0).all():
        return Kind.NUMBERS, 0
    values = np.unique(y)
    if set(values) <= {0, 1}:
        return _of_bits(y, units) if wide else (Kind.BINARY, 2)
    if set(values) == {-1, 1}:
        return Kind.PLUS_MINUS, 2
    columns = wide and y.ndim == 2 and y.shape[-1] == units  # noqa: PLR2004  (samples, columns)
    few = len(values) <= MOST_CLASSES and y.dtype.kind in "iu" and values.min() >= 0
    return (Kind.CLASSES, int(values.max()) + 1) if (units > 1 or few) and not columns else (Kind.NUMBERS, 0)


def _of_bits(y: Any, units: int) -> tuple[Kind, int]:
    if (y.sum(axis=-1) == 1).all():
        return Kind.ONE_HOT, y.shape[-1]
    # A sequence of classes has as many columns as it has steps, several labels as many as there are outputs.
    return (Kind.MULTI_LABEL, y.shape[-1]) if y.shape[-1] == units else (Kind.BINARY, 2)


def _chance(task: Task, y: Any) -> float:
    if task.kind in NUMERIC:
        return 0.0
    if task.kind is Kind.MULTI_LABEL:
        share = y.reshape(-1, y.shape[-1]).mean(axis=0)
        return float(np.maximum(share, 1 - share).mean())
    _, counts = np.unique(task.truth(y), return_counts=True)
    return float(counts.max() / counts.sum())
