"""How batches reach ``Model.fit`` and ``Model.evaluate``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import keras

from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job

Options = dict[str, Any]


class Feed(ABC):
    """The batches of ``job``. ``callback`` goes to ``fit`` with what :meth:`training` gives."""

    callback: keras.callbacks.Callback

    def __init__(self, job: Job) -> None:
        self.job = job

    @abstractmethod
    def training(self) -> Options:
        """What ``fit`` is told of the training and the validation set."""

    @abstractmethod
    def evaluation(self, samples: Samples) -> Options:
        """What ``evaluate`` is told of ``samples``, which come in their order."""

    @abstractmethod
    def one_by_one(self, epoch: int) -> Iterator[Any]:
        """For every update of an epoch, counted from 0, an iterator that the training function takes one batch of."""

    @abstractmethod
    def in_order(self, samples: Samples, numbers: range) -> Any:
        """A dataset of those batches of ``samples``, which come in their order."""
