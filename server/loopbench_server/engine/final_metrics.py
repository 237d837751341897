"""Final metrics: computed on given weights over a whole set, independent of any accuracy metric."""

import keras
import numpy as np

from loopbench.spec import ClassMetrics, FinalMetrics, Loss
from loopbench_server.engine.data import CLASSES, Samples
from loopbench_server.engine.forward_pass import compute_outputs
from loopbench_server.engine.losses import LOSSES


def compute_final_metrics(model: keras.Model, samples: Samples, loss: Loss) -> FinalMetrics:
    """Count the samples that ``model`` classifies correctly, and average their losses in float64."""
    outputs = compute_outputs(model, samples)
    confusion = _count(samples.labels, outputs.argmax(axis=1))
    correct = int(confusion.trace())
    losses = LOSSES[loss].per_sample(samples.one_hot.astype(np.float64), outputs.astype(np.float64))
    return FinalMetrics(
        loss=float(losses.mean()),
        accuracy=correct / len(losses),
        correct=correct,
        samples=len(losses),
        classes=tuple(_class_metrics(row, label) for label, row in enumerate(confusion.tolist())),
    )


def _count(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the confusion matrix, int64[CLASSES, CLASSES], by label and predicted class."""
    cells = labels.astype(np.int64) * CLASSES + predicted
    return np.bincount(cells, minlength=CLASSES * CLASSES).reshape(CLASSES, CLASSES)


def _class_metrics(predicted: list[int], label: int) -> ClassMetrics:
    samples = sum(predicted)
    return ClassMetrics(predicted=tuple(predicted), accuracy=predicted[label] / samples if samples else 0.0)
