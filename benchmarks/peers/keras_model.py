"""The network, the loss and the batches of the peers that use Keras."""

import time
from typing import Any

import keras
import tensorflow as tf

from benchmarks.peers.job import CLASSES, SHUFFLE_BUFFER, Float32, Job, Peer, Samples


def network(job: Job) -> keras.Sequential:
    """Flattens [b, 28, 28] and ends in 10 outputs without an activation."""
    keras.utils.set_random_seed(job.seed)
    hidden = [keras.layers.Dense(units, "relu") for units in job.layers]
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(CLASSES)])


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
        """Outputs in one batch."""
        return self.model(images, training=False).numpy()
