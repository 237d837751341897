"""Models and a callback with user-written code."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers


class OwnSteps(keras.Model):  # type: ignore[misc]  # Keras has no types
    """User-written steps and metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.drop = layers.Dense(8, activation="relu"), layers.Dropout(0.3)
        self.outside = layers.Dense(3, activation="softmax")
        self.mean, self.hits = keras.metrics.Mean(name="loss"), keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    @property
    def metrics(self) -> list[Any]:
        return [self.mean, self.hits]

    def call(self, x: Any, training: bool = False) -> Any:
        return self.outside(self.drop(self.inside(x), training=training))

    def _results(self, y: Any, outputs: Any, loss: Any) -> dict[str, Any]:
        self.mean.update_state(loss, sample_weight=tf.shape(outputs)[0])
        self.hits.update_state(y, outputs)
        return {"loss": self.mean.result(), "accuracy": self.hits.result()}

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self._results(y, outputs, loss)

    def test_step(self, data: Any) -> Any:
        x, y = data
        outputs = self(x, training=False)
        return self._results(y, outputs, self.compute_loss(x, y, outputs))


class OnlyAdded(keras.Model):  # type: ignore[misc]  # Keras has no types
    """An autoencoder that adds its whole loss by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.noise, self.outside = layers.Dense(3), layers.GaussianNoise(0.2), layers.Dense(6)

    def call(self, x: Any, training: bool = False) -> Any:
        outputs = self.outside(self.noise(self.inside(x), training=training))
        self.add_loss(tf.reduce_mean(tf.square(outputs - x)))
        return outputs


class Looking(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Predicts on the training set after every epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.model(np.zeros((5, 6), np.float32))
