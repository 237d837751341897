"""What a method of training offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from loopbench.spec import ReportedMetrics
from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job


class TrainingMethod(ABC):
    """Trains a job's model in place, and evaluates it in the method's own way."""

    # Names of the figures, in the logs that callbacks receive, which this method reports.
    loss_log = "loss"
    accuracy_log = "accuracy"

    def __init__(self, job: Job) -> None:
        self.job = job

    @abstractmethod
    def warm_up(self) -> None:
        """Traces and compiles for the batches of either size, so that training time holds none of that.

        Takes steps, and leaves no trace of them in the weights or in the optimizer.
        """

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        """Whatever its block does to model and optimizer is undone at its end."""
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
        """All epochs, each followed by a validation; calls ``callbacks`` as ``Model.fit`` does."""

    @abstractmethod
    def replay(self, epoch: int) -> Iterator[Mapping[str, Any]]:
        """Trains an epoch, counted from 0, update by update; gives the epoch's figures so far after each.

        To be asked for after :meth:`train`. The updates are made by the functions that train, so they have its bits.
        """

    @abstractmethod
    def evaluate(self, samples: Samples) -> ReportedMetrics:
        """What this way of evaluating reports of ``samples`` on the present weights."""
