"""``Model.fit`` on a model that overrides ``train_step`` and ``test_step``."""

from typing import Any

import keras
import tensorflow as tf

from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.fitting import FittingMethod
from loopbench_server.engine.metrics import LoopMetrics


class CustomModel(keras.Model):
    """Network with its own training and test step."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.model.inputs, job.model.outputs)
        self._loss_function = job.loss
        self._figures = LoopMetrics(job.spec.accuracy_metric, job.spec.loss_aggregation)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics that Keras resets before every epoch and every evaluation."""
        return self._figures.metrics

    def train_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """Make one update on images [b, 28, 28] and one-hot labels [b, 10]."""
        images, labels = data
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            loss = self._loss_function(labels, outputs)
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self._figures.update(labels, outputs, loss)

    def test_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """Return the same metrics without an update."""
        images, labels = data
        outputs = self(images, training=False)
        return self._figures.update(labels, outputs, self._loss_function(labels, outputs))


class CustomTrainStep(FittingMethod):
    """The job's network in a model with its own steps."""

    def build_model(self) -> keras.Model:
        """Return a model that shares the layers of the job's model."""
        return CustomModel(self.job)

    def compile_options(self) -> dict[str, Any]:
        """Return nothing: the steps compute loss and metrics."""
        return {}
