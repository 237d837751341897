"""What a loop reports of itself: the accuracy that a metric counts and the loss of a batch or of an epoch.

The wrong variants are wrong by the same Keras classes, or the same missing accumulation, that people run into.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from loopbench.spec import AccuracyMetric, LossAggregation
from loopbench_server.engine.replicas import of_whole_batch


def _labels(one_hot: Any) -> Any:
    return tf.argmax(one_hot, axis=-1)


@dataclass(frozen=True)
class MetricVariant:
    """A Keras metric class, and what it is fed: a view of one-hot labels [b, 10] and one of raw outputs [b, 10]."""

    metric: type[keras.metrics.Metric]
    labels: Callable[[Any], Any]
    outputs: Callable[[Any], Any]


ACCURACY_METRICS: dict[AccuracyMetric, MetricVariant] = {
    AccuracyMetric.SPARSE_CATEGORICAL: MetricVariant(keras.metrics.SparseCategoricalAccuracy, _labels, tf.identity),
    AccuracyMetric.CATEGORICAL: MetricVariant(keras.metrics.CategoricalAccuracy, tf.identity, tf.identity),
    AccuracyMetric.ARGMAX: MetricVariant(keras.metrics.Accuracy, _labels, _labels),
    # [b] against [b]: the class takes the batch for one distribution and counts one sample.
    AccuracyMetric.CATEGORICAL_ON_LABELS: MetricVariant(keras.metrics.CategoricalAccuracy, _labels, _labels),
}


class Accuracy(keras.metrics.Metric):
    """The Keras metric of an accuracy metric, fed with its view of one-hot labels and raw outputs."""

    def __init__(self, accuracy_metric: AccuracyMetric) -> None:
        super().__init__(name="accuracy")
        self._variant = ACCURACY_METRICS[accuracy_metric]
        self._metric = self._variant.metric()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """One-hot labels and raw outputs, both [b, 10]."""
        self._metric.update_state(self._variant.labels(y_true), self._variant.outputs(y_pred), sample_weight)

    def result(self) -> Any:
        """A scalar, 0 to 1."""
        return self._metric.result()

    def reset_state(self) -> None:
        """Before an epoch."""
        self._metric.reset_state()


class EpochMean(keras.metrics.Mean):
    """Weighs every batch with the samples it holds."""

    def __init__(self) -> None:
        super().__init__(name="loss")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """The loss of a batch or a replica's part of it, a scalar, and the samples that it is of."""
        super().update_state(of_whole_batch(values), sample_weight)


class LastBatch(keras.metrics.Metric):
    """Forgets every batch but the last."""

    def __init__(self) -> None:
        super().__init__(name="loss")
        self._value = self.add_weight(name="value", initializer="zeros")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # noqa: ARG002  Keras's signature
        """The loss of the batch, a scalar, or a replica's part: they are added up when they are read."""
        self._value.assign(values)

    def result(self) -> Any:
        """A scalar."""
        # A copy: eagerly, the variable itself would have changed by the time that the logs are read.
        return tf.identity(self._value.value)


LOSS_AGGREGATIONS: dict[LossAggregation, Callable[[], keras.metrics.Metric]] = {
    LossAggregation.MEAN: EpochMean,
    LossAggregation.LAST_BATCH: LastBatch,
}


class Figures:
    """The two figures that a hand-written step keeps: ``metrics`` are their Keras metrics, loss and accuracy."""

    def __init__(self, accuracy_metric: AccuracyMetric, loss_aggregation: LossAggregation) -> None:
        self.metrics = [LOSS_AGGREGATIONS[loss_aggregation](), Accuracy(accuracy_metric)]

    def update(self, labels: Any, outputs: Any, loss: Any) -> dict[str, Any]:
        """Takes in a batch; gives the figures so far. The loss counts as often as the batch holds samples."""
        mean_loss, accuracy = self.metrics
        mean_loss.update_state(loss, sample_weight=tf.shape(outputs)[0])
        accuracy.update_state(labels, outputs)
        return self.result()

    def result(self) -> dict[str, Any]:
        """``loss`` and ``accuracy``, scalars."""
        return {metric.name: metric.result() for metric in self.metrics}

    def reset(self) -> None:
        """Before an epoch."""
        for metric in self.metrics:
            metric.reset_state()
