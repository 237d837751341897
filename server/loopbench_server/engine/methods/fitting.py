"""Common part of the two methods that train with ``Model.fit``: batches and calls."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from loopbench.spec import Execution, ReportedMetrics
from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.base import TrainingMethod
from loopbench_server.engine.methods.indexed_feed import IndexedFeed
from loopbench_server.engine.methods.shared_feed import SharedFeed


class FittingMethod(TrainingMethod):
    """Trains ``self.model``, which shares the job's layers, with ``Model.fit``."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.feed = (IndexedFeed if job.strategy.num_replicas_in_sync == 1 else SharedFeed)(job)
        with job.strategy.scope():
            self.model = self.build_model()
            self.model.compile(
                optimizer=job.optimizer,
                run_eagerly=job.spec.execution is Execution.EAGER,
                jit_compile=job.spec.execution is Execution.XLA,
                steps_per_execution=job.steps_per_execution,
                **self.compile_options(),
            )

    @property
    def execution(self) -> Execution:
        """Execution in force. Keras may refuse to compile by XLA, with nothing but a warning."""
        if self.model.run_eagerly or tf.config.functions_run_eagerly():
            return Execution.EAGER
        return Execution.XLA if self.model.jit_compile else Execution.GRAPH

    @abstractmethod
    def build_model(self) -> keras.Model:
        """Return the job's network as the model to compile and fit."""

    @abstractmethod
    def compile_options(self) -> dict[str, Any]:
        """Return the options of ``Model.compile`` beyond the optimizer and the execution."""

    def warm_up(self) -> None:
        """Call Keras's own training and test function on the first and on the last batch."""
        if self.job.spec.execution is Execution.EAGER:
            return
        self.model.make_train_function()
        self.model.make_test_function()
        data = self.job.data
        with self._restoring():
            for function, samples in (
                (self.model.train_function, data.train),
                (self.model.test_function, data.validation),
            ):
                for number in (0, self.job.batches_in(samples) - 1):
                    function(iter(self.feed.in_order(samples, range(number, number + 1))))

    def train(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Call ``Model.fit`` once."""
        self.model.fit(
            **self.feed.training(),
            epochs=self.job.spec.epochs,
            callbacks=[*callbacks, self.feed.callback],
            shuffle=False,  # the batches are already shuffled
            verbose=0,
        )

    def replay(self, epoch: int) -> Iterator[Mapping[str, Any]]:
        """See :class:`TrainingMethod`; uses the training function of ``fit``."""
        self.model.reset_metrics()
        for batch in self.feed.single_batches(epoch):
            self.model.train_function(batch)
            yield self.model.get_metrics_result()

    def evaluate(self, samples: Samples) -> ReportedMetrics:
        """Call ``Model.evaluate`` with the run's batch size."""
        logs = self.model.evaluate(**self.feed.evaluation(samples), verbose=0, return_dict=True)
        return ReportedMetrics(loss=float(logs[self.loss_log]), accuracy=float(logs[self.accuracy_log]))
