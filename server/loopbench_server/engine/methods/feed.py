"""Batches for ``Model.fit`` and ``Model.evaluate``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import keras

from loopbench_server.engine.data import Samples
from loopbench_server.engine.job import Job

Options = dict[str, Any]


class Feed(ABC):
    """Batches of ``job``. ``fit`` takes ``callback`` together with the options of :meth:`training`."""

    callback: keras.callbacks.Callback

    def __init__(self, job: Job) -> None:
        self.job = job

    @abstractmethod
    def training(self) -> Options:
        """Return the options of ``fit`` for the training and the validation set."""

    @abstractmethod
    def evaluation(self, samples: Samples) -> Options:
        """Return the options of ``evaluate`` for ``samples``, in their order."""

    @abstractmethod
    def single_batches(self, epoch: int) -> Iterator[Any]:
        """Yield an iterator for every update of an epoch, counted from 0.

        The training function takes one batch of each.
        """

    @abstractmethod
    def in_order(self, samples: Samples, numbers: range) -> Any:
        """Return a dataset of batches ``numbers`` of ``samples``, in their order."""
