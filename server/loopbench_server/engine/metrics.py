"""Metrics that a loop reports: its accuracy, and its loss of a batch or of an epoch.

The wrong variants use the Keras classes, or lack the accumulation, that cause these errors in practice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from loopbench.spec import AccuracyMetric, LossAggregation
from loopbench_server.engine.replicas import scale_to_batch


def _labels(one_hot: Any) -> Any:
    return tf.argmax(one_hot, axis=-1)


@dataclass(frozen=True)
class MetricVariant:
    """A Keras metric class with its inputs: views of one-hot labels [b, 10] and of raw outputs [b, 10]."""

    metric: type[keras.metrics.Metric]
    labels: Callable[[Any], Any]
    outputs: Callable[[Any], Any]


ACCURACY_METRICS: dict[AccuracyMetric, MetricVariant] = {
    AccuracyMetric.SPARSE_CATEGORICAL: MetricVariant(keras.metrics.SparseCategoricalAccuracy, _labels, tf.identity),
    AccuracyMetric.CATEGORICAL: MetricVariant(keras.metrics.CategoricalAccuracy, tf.identity, tf.identity),
    AccuracyMetric.ARGMAX: MetricVariant(keras.metrics.Accuracy, _labels, _labels),
    # [b] against [b]: the class treats the batch as one distribution and counts one sample.
    AccuracyMetric.CATEGORICAL_ON_LABELS: MetricVariant(keras.metrics.CategoricalAccuracy, _labels, _labels),
}


class Accuracy(keras.metrics.Metric):
    """Keras metric of an accuracy metric, with its views of one-hot labels and raw outputs."""

    def __init__(self, accuracy_metric: AccuracyMetric) -> None:
        super().__init__(name="accuracy")
        self._variant = ACCURACY_METRICS[accuracy_metric]
        self._metric = self._variant.metric()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add one-hot labels and raw outputs, both [b, 10]."""
        self._metric.update_state(self._variant.labels(y_true), self._variant.outputs(y_pred), sample_weight)

    def result(self) -> Any:
        """Return a scalar from 0 to 1."""
        return self._metric.result()

    def reset_state(self) -> None:
        """Reset before an epoch."""
        self._metric.reset_state()


class EpochMean(keras.metrics.Mean):
    """Mean loss of an epoch, in which each batch has the weight of its samples."""

    def __init__(self) -> None:
        super().__init__(name="loss")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add the loss of a batch or of a replica's share, a scalar, and its number of samples."""
        super().update_state(scale_to_batch(values), sample_weight)


class LastBatch(keras.metrics.Metric):
    """Loss of the last batch only."""

    def __init__(self) -> None:
        super().__init__(name="loss")
        self._value = self.add_weight(name="value", initializer="zeros")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # noqa: ARG002  Keras's signature
        """Set the loss of the batch, a scalar, or of a replica's share; shares are summed when they are read."""
        self._value.assign(values)

    def result(self) -> Any:
        """Return a scalar."""
        # A copy: under eager execution the variable itself changes before the logs are read.
        return tf.identity(self._value.value)


LOSS_AGGREGATIONS: dict[LossAggregation, Callable[[], keras.metrics.Metric]] = {
    LossAggregation.MEAN: EpochMean,
    LossAggregation.LAST_BATCH: LastBatch,
}


class LoopMetrics:
    """Loss and accuracy that a hand-written step keeps; ``metrics`` are their Keras metrics."""

    def __init__(self, accuracy_metric: AccuracyMetric, loss_aggregation: LossAggregation) -> None:
        self.metrics = [LOSS_AGGREGATIONS[loss_aggregation](), Accuracy(accuracy_metric)]

    def update(self, labels: Any, outputs: Any, loss: Any) -> dict[str, Any]:
        """Add a batch and return the metrics so far. The loss has the weight of the batch's samples."""
        mean_loss, accuracy = self.metrics
        mean_loss.update_state(loss, sample_weight=tf.shape(outputs)[0])
        accuracy.update_state(labels, outputs)
        return self.result()

    def result(self) -> dict[str, Any]:
        """Return ``loss`` and ``accuracy``, scalars."""
        return {metric.name: metric.result() for metric in self.metrics}

    def reset(self) -> None:
        """Reset before an epoch."""
        for metric in self.metrics:
            metric.reset_state()
