"""Interface of a training method."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from loopbench.spec import Execution, ReportedMetrics
from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job


class TrainingMethod(ABC):
    """Trains a job's model in place, and evaluates it in the method's own way."""

    # Names, in the logs of callbacks, of the metrics that this method reports.
    loss_log = "loss"
    accuracy_log = "accuracy"

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def execution(self) -> Execution:
        """Execution in force, which may differ from that of the spec."""
        return Execution.EAGER if tf.config.functions_run_eagerly() else self.job.spec.execution

    @abstractmethod
    def warm_up(self) -> None:
        """Trace and compile for both sizes of batches, so that training time contains neither.

        The steps that this takes leave weights and optimizer unchanged.
        """

    @contextmanager
    def _restoring(self) -> Iterator[None]:
        """Undo all changes of model and optimizer at the end of the block."""
        model, optimizer = self.job.model, self.job.optimizer
        with self.job.strategy.scope():
            optimizer.build(model.trainable_variables)
        variables = [*model.variables, *optimizer.variables]
        before = [variable.numpy() for variable in variables]
        yield
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)

    @abstractmethod
    def train(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Train all epochs, each followed by a validation; call ``callbacks`` as ``Model.fit`` does."""

    @abstractmethod
    def replay(self, epoch: int) -> Iterator[Mapping[str, Any]]:
        """Train an epoch, counted from 0, update by update; yield the epoch's metrics so far after each.

        Only after :meth:`train`. The training functions make the updates, so they have the same bits.
        """

    @abstractmethod
    def evaluate(self, samples: Samples) -> ReportedMetrics:
        """Return the metrics that this method reports of ``samples`` on the current weights."""
