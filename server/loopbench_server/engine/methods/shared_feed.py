"""Batches that replicas share: each takes the next part of every batch, of equal size where the batch divides.

TensorFlow's own split gives the first replicas full parts of a smaller last batch, and the last replica possibly none.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.feed import Feed, Options
from loopbench_server.engine.tensors import as_tensors


class SharedFeed(Feed):
    """Batches for several replicas.

    The numbers of steps are explicit, because ``fit`` would otherwise take an empty step at the end of each epoch.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._order = job.order
        # Updates the digest; the pipeline draws the orders itself, ahead of the training.
        self.callback = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: self._order.epoch(epoch))

    def _shares(self, samples: Samples, orders: tf.data.Dataset, numbers: range) -> Any:
        """Return batches ``numbers`` of ``samples`` in each of the ``orders``, int32[n]."""
        (images, labels), size = as_tensors(samples), self.job.spec.batch_size
        replicas = self.job.strategy.num_replicas_in_sync

        def of_order(order: Any) -> tf.data.Dataset:
            def share(place: Any) -> tuple[Any, Any]:
                start, replica = place // replicas * size, place % replicas
                held = tf.minimum(size, len(samples) - start)
                rows = order[start + held * replica // replicas : start + held * (replica + 1) // replicas]
                return tf.gather(images, rows), tf.gather(labels, rows)

            first, end = (number * replicas for number in (numbers.start, numbers.stop))
            return tf.data.Dataset.range(first, end, output_type=tf.int32).map(share)

        return self.job.strategy.distribute_datasets_from_function(
            lambda _: orders.flat_map(of_order).prefetch(replicas)
        )

    def in_order(self, samples: Samples, numbers: range) -> Any:
        """See :class:`Feed`."""
        return self._shares(samples, tf.data.Dataset.from_tensors(tf.range(len(samples))).repeat(), numbers)

    def _drawn(self, epoch: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(self._order.draw, [epoch], tf.int32), [self._order.count])

    def training(self) -> Options:
        """See :class:`Feed`."""
        job, validation = self.job, self.evaluation(self.job.data.validation)
        orders = tf.data.Dataset.range(job.spec.epochs).map(self._drawn)
        return {
            "x": self._shares(job.data.train, orders, range(job.steps_per_epoch)),
            "steps_per_epoch": job.steps_per_epoch,
            "validation_data": validation["x"],
            "validation_steps": validation["steps"],
        }

    def single_batches(self, epoch: int) -> Iterator[Any]:
        """See :class:`Feed`. One iterator serves all updates, as a function takes one step."""
        orders = tf.data.Dataset.from_tensors(tf.constant(self.job.order.draw(epoch)))
        batches = iter(self._shares(self.job.data.train, orders, range(self.job.steps_per_epoch)))
        for _ in range(self.job.steps_per_epoch):
            yield batches

    def evaluation(self, samples: Samples) -> Options:
        """See :class:`Feed`."""
        steps = self.job.batches_in(samples)
        return {"x": self.in_order(samples, range(steps)), "steps": steps}
