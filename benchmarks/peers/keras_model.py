"""The network, the loss and the batches of the peers that use Keras."""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers.job import CLASSES, DROPOUT, FILTERS, OUTPUT_BATCH, SHUFFLE_BUFFER, Float32, Job, Peer, Samples


def _mlp(job: Job) -> list[keras.Layer]:
    return [keras.layers.Flatten(), *(keras.layers.Dense(units, "relu") for units in job.layers)]


def _block(filters: int) -> list[keras.Layer]:
    layers = keras.layers
    return [
        layers.Conv2D(filters, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
    ]


def _cnn(_: Job) -> list[keras.Layer]:
    blocks = [layer for filters in FILTERS for layer in _block(filters)]
    pooled = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(DROPOUT)]
    return [keras.layers.Reshape((28, 28, 1)), *blocks, *pooled]


HIDDEN_LAYERS = {"mlp": _mlp, "cnn": _cnn}


def network(job: Job) -> keras.Sequential:
    """Takes images [b, 28, 28] and ends in 10 outputs without an activation."""
    keras.utils.set_random_seed(job.seed)
    hidden = HIDDEN_LAYERS[job.network](job)
    return keras.Sequential([keras.Input((28, 28)), *hidden, keras.layers.Dense(CLASSES)])


def sum_of_squares(labels: Any, outputs: Any) -> Any:
    """Squared errors summed over the outputs, of each sample: float32[b]."""
    return tf.reduce_sum(tf.square(outputs - labels), axis=-1)


def shuffled_batches(job: Job, samples: Samples) -> tf.data.Dataset:
    """The pipeline of most tutorials: samples, a shuffle buffer, batches."""
    dataset = tf.data.Dataset.from_tensor_slices((samples.images, samples.labels))
    return dataset.shuffle(SHUFFLE_BUFFER, seed=job.seed).batch(job.batch_size)


def limit_threads(threads: int) -> None:
    """Limit the threads of all TensorFlow operations."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


class Stopwatch(keras.callbacks.Callback):
    """Keeps the seconds of each epoch of a call of ``fit``."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Starts."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Stops."""
        self.seconds.append(time.perf_counter() - self._start)


class KerasPeer(Peer):
    """A peer with its network in ``model``."""

    model: keras.Model

    def fitted(self, *data: Any, **options: Any) -> list[float]:
        """``fit`` on ``data``, all epochs in one call; gives the seconds of each."""
        stopwatch = Stopwatch()
        self.model.fit(*data, epochs=self.job.epochs, callbacks=[stopwatch], verbose=0, **options)
        return stopwatch.seconds

    def outputs(self, images: Float32) -> Float32:
        """Outputs in batches."""
        parts = np.split(images, range(OUTPUT_BATCH, len(images), OUTPUT_BATCH))
        return np.concatenate([self.model(part, training=False).numpy() for part in parts])
