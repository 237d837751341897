"""A hand-written loop around ``tf.GradientTape``."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from loopbench.spec import Execution, ReportedMetrics
from loopbench_server.engine.data import Samples
from loopbench_server.engine.forward_pass import largest_batch
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.base import TrainingMethod
from loopbench_server.engine.methods.indexed import ELEMENT_SPEC
from loopbench_server.engine.metrics import LoopMetrics
from loopbench_server.engine.tensors import as_tensors

# Arguments of a loop: batches, start and stop. One graph serves both sizes of batches, as in Keras.
LOOP_SIGNATURE = (tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.int32))

Step = Callable[[Any, Any], dict[str, Any]]


def split_batches(order: NDArray[np.int32], batch_size: int) -> list[NDArray[np.int32]]:
    """Return the full batches of ``order``, int32[k, batch_size], and the smaller rest, int32[1, rest].

    An empty part is left out.
    """
    full = len(order) // batch_size * batch_size
    parts = [order[:full].reshape(-1, batch_size), order[full:].reshape(1, -1)]
    return [part for part in parts if part.size]


class GradientTape(TrainingMethod):
    """A hand-written loop inside the graph, which takes its batches by index from the samples."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.figures = LoopMetrics(job.spec.accuracy_metric, job.spec.loss_aggregation)
        self.training = self._make_loop(self._train_step, job.data.train)
        self.validation = self._make_loop(self._test_step, job.data.validation)

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

    def _make_loop(self, step: Step, samples: Samples) -> Callable[[Any, int, int], None]:
        """Return a function of (batches, start, stop) that applies ``step`` to those rows of ``batches``, int32[k, b].

        Under XLA a step is the compiled unit, as in Keras, so that the methods agree bit for bit. With several steps
        per execution the loop is compiled with the steps: faster, but its bits may differ.
        """
        execution, fused = self.job.spec.execution, self.job.spec.steps_per_execution > 1
        images, labels = as_tensors(samples)
        # Only the loop needs AutoGraph, which takes about 50 ms for every function that it converts.
        step = tf.autograph.experimental.do_not_convert(step)
        if execution is Execution.XLA and not fused:
            step = tf.function(step, jit_compile=True, input_signature=ELEMENT_SPEC)

        def over(batches: Any, start: Any, stop: Any) -> None:
            for row in tf.range(start, stop):
                index = tf.gather(batches, row)
                step(tf.gather(images, index), tf.gather(labels, index))

        if execution is Execution.EAGER:
            return over
        if execution is Execution.XLA and fused:
            return tf.function(over, jit_compile=True)
        return tf.function(over, input_signature=LOOP_SIGNATURE)

    def warm_up(self) -> None:
        """Call both functions for a step on the first batch of each size."""
        if self.job.spec.execution is Execution.EAGER:
            return
        with self._restoring():
            for function, samples in (
                (self.training, self.job.data.train),
                (self.validation, self.job.data.validation),
            ):
                order = np.arange(len(samples), dtype=np.int32)
                for batches in split_batches(order, self.job.spec.batch_size):
                    function(tf.constant(batches), tf.constant(0), tf.constant(1))

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
        first = 0
        for rows in split_batches(order, self.job.spec.batch_size):
            batches = tf.constant(rows)
            for start in range(0, len(rows), self.job.steps_per_execution):
                stop = min(start + self.job.steps_per_execution, len(rows))
                calls.on_train_batch_begin(first + start)
                self.training(batches, tf.constant(start), tf.constant(stop))
                calls.on_train_batch_end(first + stop - 1, self.figures.result())
            first += len(rows)

    def replay(self, epoch: int) -> Iterator[Mapping[str, Any]]:
        """See :class:`TrainingMethod`."""
        self.figures.reset()
        for rows in split_batches(self.job.order.draw(epoch), self.job.spec.batch_size):
            batches = tf.constant(rows)
            for row in range(len(rows)):
                self.training(batches, tf.constant(row), tf.constant(row + 1))
                yield self.figures.result()

    def evaluate(self, samples: Samples) -> ReportedMetrics:
        """Evaluate by hand, with the whole set as one batch unless that takes too much memory."""
        return self._evaluate(samples, min(len(samples), largest_batch(self.job.model)))

    def _evaluate(self, samples: Samples, batch_size: int) -> ReportedMetrics:
        self.figures.reset()
        over = self.validation if samples is self.job.data.validation else self._make_loop(self._test_step, samples)
        for rows in split_batches(np.arange(len(samples), dtype=np.int32), batch_size):
            over(tf.constant(rows), tf.constant(0), tf.constant(len(rows)))
        figures = self.figures.result()
        return ReportedMetrics(loss=float(figures["loss"]), accuracy=float(figures["accuracy"]))
