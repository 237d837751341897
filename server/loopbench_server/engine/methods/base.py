"""What a method of training offers."""

from abc import ABC, abstractmethod

import keras

from loopbench.spec import Reported
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
    def trace(self) -> None:
        """Builds and traces the training function without a step, so that training time holds no tracing."""

    @abstractmethod
    def train(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """All epochs, each followed by a validation; calls ``callbacks`` as ``Model.fit`` does."""

    @abstractmethod
    def evaluate(self, samples: Samples) -> Reported:
        """What this way of evaluating reports of ``samples`` on the present weights."""
