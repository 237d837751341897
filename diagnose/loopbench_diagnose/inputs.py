"""What a user passed as data: read into arrays for the experiments, and handed to loops as the user passed it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from loopbench_diagnose.containers import container_of, kept_kind
from loopbench_diagnose.data import PARTS, PIPELINES, Data
from loopbench_diagnose.pipelines import Pipeline, pipeline_of
from loopbench_diagnose.side import Side


class Inputs:
    """What a user passed as data. ``data`` has arrays: at least ``most`` samples of every set, or all.

    Raises:
        DataError: it is of a kind that is not supported, or holds no samples.
    """

    def __init__(self, given: Any, build_model: Callable[[], keras.Model], most: int) -> None:
        self._given = given() if callable(given) else given
        self._container = container_of(self._given, build_model)
        self._whole = self._container.data(self._given)
        held_out = self._whole.validation
        self._training = _pipeline(self._whole, build_model)
        self._validation = None if held_out is None else _pipeline(held_out, build_model)
        validation = None if held_out is None else _read(held_out, self._validation, most)
        self.data = replace(_read(self._whole, self._training, most), validation=validation)

    @property
    def pipelines(self) -> Any:
        """What the user passed where it holds data sets, which may be read again; None for arrays."""
        return None if self._training is self._validation is None else self._given

    def give(self, data: Data) -> Any:
        """``data``, some or all of the samples, as a loop expects them: of the kind that the user passed."""
        validation = None if data.validation is None else _made(data.validation, self._validation)
        return self._container.back(replace(_made(data, self._training), validation=validation), self._given)

    def side(self, side: Side) -> Side:
        """The same way of training for :class:`Data` of arrays."""
        if isinstance(self._given, Data) and self._training is self._validation is None:
            return side

        def train(model: keras.Model, data: Data, epochs: int) -> Any:
            given = self.give(data)
            with kept_kind(given, self._container):
                return side.train(model, given, epochs)

        return replace(side, train=train)


def _pipeline(data: Data, build_model: Callable[[], keras.Model]) -> Pipeline | None:
    return pipeline_of(data.x, build_model) if isinstance(data.x, PIPELINES) else None


def _read(data: Data, pipeline: Pipeline | None, most: int) -> Data:
    if pipeline is None:
        return data
    read = pipeline.read(most)
    return replace(data, **{name: getattr(read, name) for name in PARTS})


def _made(data: Data, pipeline: Pipeline | None) -> Data:
    if pipeline is None:
        return data
    return replace(data, x=pipeline.made_of(data), y=None, sample_weight=None)
