"""A hand-written loop around ``tf.GradientTape``."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from loopbench.spec import ReportedMetrics
from loopbench_server.engine.data import Samples
from loopbench_server.engine.forward_pass import largest_batch
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.base import TrainingMethod
from loopbench_server.engine.methods.loops import make_loop
from loopbench_server.engine.metrics import LoopMetrics


def split_calls(order: NDArray[np.int32], batch_size: int, steps: int) -> Iterator[NDArray[np.int32]]:
    """Yield the batches of ``order`` for each call of a loop: at most ``steps`` full ones, int32[k, batch_size].

    The last call has the smaller rest alone, int32[1, rest], if there is one.
    """
    full = len(order) // batch_size * batch_size
    rows = order[:full].reshape(-1, batch_size)
    yield from (rows[start : start + steps] for start in range(0, len(rows), steps))
    if full < len(order):
        yield order[full:].reshape(1, -1)


class GradientTape(TrainingMethod):
    """A hand-written loop inside the graph, which takes its batches by index from the samples."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.figures = LoopMetrics(job.spec.accuracy_metric, job.spec.loss_aggregation)
        self.training = make_loop(job.spec, self._train_step, job.data.train)
        self.validation = make_loop(job.spec, self._test_step, job.data.validation)

    def _train_step(self, images: Any, labels: Any) -> dict[str, Any]:
        model, optimizer = self.job.model, self.job.optimizer
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = self.job.loss(labels, outputs)
            scaled_loss = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return self.figures.update(labels, outputs, loss)

    def _test_step(self, images: Any, labels: Any) -> dict[str, Any]:
        outputs = self.job.model(images, training=False)
        return self.figures.update(labels, outputs, self.job.loss(labels, outputs))

    def warm_up(self) -> None:
        """Prepare both functions for all shapes of their calls."""
        job = self.job
        with self._restoring():
            for loop, samples, steps in (
                (self.training, job.data.train, job.steps_per_execution),
                (self.validation, job.data.validation, len(job.data.validation)),
            ):
                calls = split_calls(np.arange(len(samples), dtype=np.int32), job.spec.batch_size, steps)
                for batches in {batches.shape: batches for batches in calls}.values():
                    loop.warm_up(tf.constant(batches))

    def train(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Train epoch by epoch, with ``steps_per_execution`` steps per call."""
        job = self.job
        calls = keras.callbacks.CallbackList(callbacks, model=job.model)
        calls.on_train_begin()
        for epoch in range(job.spec.epochs):
            calls.on_epoch_begin(epoch)
            self.figures.reset()
            self._train_epoch(job.order.epoch(epoch), calls)
            logs = {name: float(value) for name, value in self.figures.result().items()}
            calls.on_test_begin()
            reported = self._evaluate(job.data.validation, job.spec.batch_size)
            calls.on_test_end()
            calls.on_epoch_end(epoch, logs | {"val_loss": reported.loss, "val_accuracy": reported.accuracy})
        # As fit does at the end: with use_ema the averages become the weights.
        job.optimizer.finalize_variable_values(job.model.trainable_variables)
        calls.on_train_end()

    def _train_epoch(self, order: NDArray[np.int32], calls: keras.callbacks.CallbackList) -> None:
        step = 0
        for batches in split_calls(order, self.job.spec.batch_size, self.job.steps_per_execution):
            calls.on_train_batch_begin(step)
            self.training(tf.constant(batches))
            step += len(batches)
            calls.on_train_batch_end(step - 1, self.figures.result())

    def replay(self, epoch: int) -> Iterator[Mapping[str, Any]]:
        """See :class:`TrainingMethod`."""
        self.figures.reset()
        for batch in split_calls(self.job.order.draw(epoch), self.job.spec.batch_size, 1):
            self.training(tf.constant(batch))
            yield self.figures.result()

    def evaluate(self, samples: Samples) -> ReportedMetrics:
        """Evaluate by hand, with the whole set as one batch unless that takes too much memory."""
        return self._evaluate(samples, min(len(samples), largest_batch(self.job.model)))

    def _evaluate(self, samples: Samples, batch_size: int) -> ReportedMetrics:
        self.figures.reset()
        validation = samples is self.job.data.validation
        loop = self.validation if validation else make_loop(self.job.spec, self._test_step, samples)
        for batches in split_calls(np.arange(len(samples), dtype=np.int32), batch_size, len(samples)):
            loop(tf.constant(batches))
        figures = self.figures.result()
        return ReportedMetrics(loss=float(figures["loss"]), accuracy=float(figures["accuracy"]))
