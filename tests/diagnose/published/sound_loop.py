"""A correct loop that the cases change in one place."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

# (model, x, y, sample_weight) → the loss that is differentiated.
Loss = Callable[[Any, Any, Any, Any], Any]


def loop(loss: Loss, optimizer: Callable[[], Any], batch_size: int = 32) -> Any:
    """Trains on batches in a new order every epoch, and reports the mean loss over the samples."""

    def train(model: Any, data: Any, epochs: int) -> dict[str, float]:
        used, mean = optimizer(), keras.metrics.Mean()
        parts = tuple(part for part in (data.x, data.y, data.sample_weight) if part is not None)
        batches = tf.data.Dataset.from_tensor_slices(parts).shuffle(len(data)).batch(batch_size)
        for _ in range(epochs):
            mean.reset_state()
            for x, y, *weights in batches:
                with tf.GradientTape() as tape:
                    value = loss(model, x, y, *(weights or [None]))
                used.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
                mean.update_state(value, sample_weight=len(x))
        return {"loss": float(mean.result())}

    return train
