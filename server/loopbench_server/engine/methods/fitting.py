"""What the two methods that train by ``Model.fit`` share: how batches reach it and how it is called."""

from abc import abstractmethod
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench.spec import Execution, Reported
from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.base import TrainingMethod
from loopbench_server.engine.methods.indexed import IndexedBatches


class OrderOfEpoch(keras.callbacks.Callback):
    """Puts the order of the epoch that begins into ``variable``."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.variable = tf.Variable(np.arange(job.order.count, dtype=np.int32), trainable=False)
        self._order = job.order

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Keras makes the epoch's iterator after this call."""
        self.variable.assign(self._order.epoch(epoch))


class FittingMethod(TrainingMethod):
    """Trains ``self.model``, which shares the job's layers, by ``Model.fit``."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.order = OrderOfEpoch(job)
        self.batches = IndexedBatches(
            job.data.train, self.order.variable, job.spec.batch_size, range(job.steps_per_epoch)
        )
        self.model = self.build_model()
        self.model.compile(
            optimizer=job.optimizer,
            run_eagerly=job.spec.execution is Execution.EAGER,
            jit_compile=job.spec.execution is Execution.XLA,
            steps_per_execution=job.steps_per_execution,
            **self.compile_options(),
        )

    @abstractmethod
    def build_model(self) -> keras.Model:
        """The job's network as the model that is compiled and fitted."""

    @abstractmethod
    def compile_options(self) -> dict[str, Any]:
        """What this method gives ``Model.compile`` beyond the optimizer and the execution."""

    def _in_order(self, samples: Samples, numbers: range) -> tf.data.Dataset:
        return IndexedBatches(samples, tf.range(len(samples)), self.job.spec.batch_size, numbers)

    def warm_up(self) -> None:
        """Calls Keras's own training and test function on the first and on the last batch."""
        if self.job.spec.execution is Execution.EAGER:
            return
        self.model.make_train_function()
        self.model.make_test_function()
        data = self.job.data
        with self._put_back():
            for function, samples in (
                (self.model.train_function, data.train),
                (self.model.test_function, data.validation),
            ):
                for number in (0, self.job.batches_in(samples) - 1):
                    function(iter(self._in_order(samples, range(number, number + 1))))

    def train(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """One call of ``Model.fit``."""
        self.model.fit(
            self.batches,
            epochs=self.job.spec.epochs,
            validation_data=self._in_order(
                self.job.data.validation, range(self.job.batches_in(self.job.data.validation))
            ),
            callbacks=[*callbacks, self.order],
            shuffle=False,  # the batches come shuffled
            verbose=0,
        )

    def evaluate(self, samples: Samples) -> Reported:
        """``Model.evaluate`` in batches of the run's size."""
        logs = self.model.evaluate(
            self._in_order(samples, range(self.job.batches_in(samples))), verbose=0, return_dict=True
        )
        return Reported(loss=float(logs[self.loss_log]), accuracy=float(logs[self.accuracy_log]))
