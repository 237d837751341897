"""``Model.fit`` on a model that overrides ``train_step`` and ``test_step``."""

from typing import Any

import keras
import tensorflow as tf

from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.fitting import FittingMethod
from loopbench_server.engine.metrics import Figures


class CustomModel(keras.Model):
    """A network with steps of its own."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.model.inputs, job.model.outputs)
        self._loss_function = job.loss
        self._figures = Figures(job.spec.accuracy_metric, job.spec.loss_aggregation)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Named here so that Keras resets them before every epoch and every evaluation."""
        return self._figures.metrics

    def train_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """One update on images [b, 28, 28] and one-hot labels [b, 10]."""
        images, labels = data
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            loss = self._loss_function(labels, outputs)
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self._figures.update(labels, outputs, loss)

    def test_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """The same figures without an update."""
        images, labels = data
        outputs = self(images, training=False)
        return self._figures.update(labels, outputs, self._loss_function(labels, outputs))


class CustomTrainStep(FittingMethod):
    """The job's network in a model with steps of its own."""

    def build_model(self) -> keras.Model:
        """Shares the layers of the job's model."""
        return CustomModel(self.job)

    def compile_options(self) -> dict[str, Any]:
        """None: loss and metrics are the steps' own business."""
        return {}
