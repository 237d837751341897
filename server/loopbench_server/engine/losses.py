"""Losses as Keras objects, which every method minimises, and as float64 values of the final metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from loopbench.spec import Loss

Float64 = NDArray[np.float64]


class SumOfSquares(keras.losses.Loss):
    """Sum of squared errors over the outputs, mean over the samples of the batch."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sample: float32[batch]."""
        return tf.reduce_sum(tf.square(y_pred - y_true), axis=-1)


class SumOfSquaresFixedBatch(keras.losses.Loss):
    """Sum of squared errors over outputs and batch, divided by a fixed number: wrong for a smaller batch."""

    def __init__(self, batch_size: int) -> None:
        # "sum" only forwards the scalar: the division happens in call, as in hand-written code.
        super().__init__(reduction="sum")
        self.batch_size = batch_size

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of the batch: a scalar."""
        return tf.reduce_sum(tf.square(y_pred - y_true)) / self.batch_size


class SumOfSquaresReplicaMean(keras.losses.Loss):
    """Sum of squared errors over the outputs, mean over a replica's share of the batch: wrong for several replicas.

    Their gradients are summed, and nothing divides by the number of replicas.
    """

    def __init__(self) -> None:
        # With "sum", unlike with a mean, Keras leaves the division by the number of replicas to the loss.
        super().__init__(reduction="sum")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of the share: a scalar."""
        return tf.reduce_mean(tf.reduce_sum(tf.square(y_pred - y_true), axis=-1))


def _mean_of_squares(labels: Float64, outputs: Float64) -> Float64:
    return np.square(outputs - labels).mean(axis=1)


def _sum_of_squares(labels: Float64, outputs: Float64) -> Float64:
    return np.square(outputs - labels).sum(axis=1)


def _crossentropy(labels: Float64, outputs: Float64) -> Float64:
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - (labels * shifted).sum(axis=1)


@dataclass(frozen=True)
class LossVariant:
    """``build(batch_size)`` returns the Keras loss; ``per_sample(labels, outputs)`` the true loss of each sample.

    Labels are one-hot; both arrays are float64[samples, 10], the losses float64[samples].
    """

    build: Callable[[int], keras.losses.Loss]
    per_sample: Callable[[Float64, Float64], Float64]


LOSSES: dict[Loss, LossVariant] = {
    Loss.MEAN_SQUARED_ERROR: LossVariant(lambda _: keras.losses.MeanSquaredError(), _mean_of_squares),
    Loss.SUM_OF_SQUARES: LossVariant(lambda _: SumOfSquares(), _sum_of_squares),
    Loss.SUM_OF_SQUARES_FIXED_BATCH: LossVariant(SumOfSquaresFixedBatch, _sum_of_squares),
    Loss.SUM_OF_SQUARES_REPLICA_MEAN: LossVariant(lambda _: SumOfSquaresReplicaMean(), _sum_of_squares),
    Loss.CATEGORICAL_CROSSENTROPY: LossVariant(
        lambda _: keras.losses.CategoricalCrossentropy(from_logits=True), _crossentropy
    ),
}
