"""Batches that the training graph takes by index."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.feed import Feed, Options
from loopbench_server.engine.methods.indexed import IndexedBatches


class OrderOfEpoch(keras.callbacks.Callback):
    """Assigns the order of each epoch to ``variable`` when the epoch begins."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.variable = tf.Variable(np.arange(job.order.count, dtype=np.int32), trainable=False)
        self._order = job.order

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Assign the order. Keras creates the epoch's iterator after this call."""
        self.variable.assign(self._order.epoch(epoch))


class IndexedFeed(Feed):
    """Batches for one device."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.callback = OrderOfEpoch(job)

    def _of(self, samples: Samples, order: Any, numbers: range) -> IndexedBatches:
        return IndexedBatches(samples, order, self.job.spec.batch_size, numbers)

    def in_order(self, samples: Samples, numbers: range) -> IndexedBatches:
        """See :class:`Feed`."""
        return self._of(samples, tf.range(len(samples)), numbers)

    def training(self) -> Options:
        """See :class:`Feed`."""
        job = self.job
        return {
            "x": self._of(job.data.train, self.callback.variable, range(job.steps_per_epoch)),
            "validation_data": self.evaluation(job.data.validation)["x"],
        }

    def single_batches(self, epoch: int) -> Iterator[Any]:
        """See :class:`Feed`. A function that takes several steps at once finds one batch each time."""
        order = tf.constant(self.job.order.draw(epoch))
        for number in range(self.job.steps_per_epoch):
            yield iter(self._of(self.job.data.train, order, range(number, number + 1)))

    def evaluation(self, samples: Samples) -> Options:
        """See :class:`Feed`."""
        return {"x": self.in_order(samples, range(self.job.batches_in(samples)))}
