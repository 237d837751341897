"""The article's third way: ``Model.fit`` on a model that overrides ``train_step``, fed by ``tf.data``."""

from typing import Any

import keras
import tensorflow as tf

from benchmarks.peers.job import Job, Samples, main
from benchmarks.peers.keras_model import KerasPeer, limit_threads, network, shuffled_batches, sum_of_squares


class CustomModel(keras.Model):
    """A tape in ``train_step``, and two metrics."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.loss_metric = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics that Keras resets before every epoch."""
        return [self.loss_metric, self.accuracy]

    def train_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """One update."""
        images, labels = data
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            loss = tf.reduce_mean(sum_of_squares(labels, outputs))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.loss_metric.update_state(loss)
        self.accuracy.update_state(labels, outputs)
        return {metric.name: metric.result() for metric in self.metrics}


class TrainStep(KerasPeer):
    """``fit`` with its defaults."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        layers = network(job)
        self.model = CustomModel(inputs=layers.inputs, outputs=layers.outputs)
        self.model.compile(keras.optimizers.SGD(job.learning_rate))
        self.batches = shuffled_batches(job, train)

    def fit(self) -> list[float]:
        """Train in one call of ``fit``."""
        return self.fitted(self.batches)


if __name__ == "__main__":
    main(TrainStep, limit_threads)
