"""The samples that a loop trains on and validates with, as it feeds them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import keras

from loopbench_diagnose.data import PIPELINES, Data, map_arrays, sample_keys
from loopbench_diagnose.pipelines import pipeline_of

# What Keras takes where it is given no size.
DEFAULT_BATCH = 32
# Samples that show whether a data set comes in another order when it is read again.
SAMPLES_OF_ORDER = 64

Factory = Callable[[], keras.Model]


def is_readable(arguments: Mapping[str, Any]) -> bool:
    """Whether the samples of a call of ``fit`` can be read again: those of a generator cannot."""
    return not isinstance(arguments["x"], Iterator)


def by_fit(arguments: Mapping[str, Any], build_model: Factory, most: int) -> Data:
    """The samples that a call of ``fit`` is given, ``most`` of them, with its validation set."""
    x = arguments["x"]
    if isinstance(x, PIPELINES):
        if arguments["steps_per_epoch"]:
            # The data set may be endless.
            most = min(most, arguments["steps_per_epoch"] * batch_size(arguments, build_model))
        data = pipeline_of(x, build_model).read(most)
    else:
        data = Data(x, arguments["y"], arguments["sample_weight"], arguments["class_weight"])
    validation, split = arguments["validation_data"], arguments["validation_split"]
    if validation is None and split:
        # Keras takes the last samples, before it shuffles.
        count = int(len(data) * (1 - split))
        return replace(_cut(data.rows(slice(count)), most), validation=_cut(data.rows(slice(count, None)), most))
    return replace(_cut(data, most), validation=_validation(validation, build_model, most))


def batch_size(arguments: Mapping[str, Any], build_model: Factory) -> int:
    """Samples in the first batch of a call of ``fit``."""
    x, given = arguments["x"], arguments["batch_size"]
    if isinstance(x, PIPELINES):
        return pipeline_of(x, build_model).batch_size or 1
    return int(given or DEFAULT_BATCH)


def is_shuffled(arguments: Mapping[str, Any], build_model: Factory) -> bool:
    """Whether a call of ``fit`` draws an order: it does so of arrays, a data set does it itself, or not."""
    x = arguments["x"]
    if not isinstance(x, PIPELINES):
        return bool(arguments["shuffle"])
    one, other = (pipeline_of(x, build_model).read(SAMPLES_OF_ORDER) for _ in range(2))
    return sample_keys(one.x) != sample_keys(other.x)


def _validation(given: Any, build_model: Factory, most: int) -> Data | None:
    if given is None:
        return None
    if isinstance(given, PIPELINES):
        return pipeline_of(given, build_model).read(most)
    return _cut(Data(*given), most)


def _cut(data: Data, most: int) -> Data:
    return data.rows(slice(min(most, len(data))))


def mapped(data: Data, x: Callable[[Any], Any] | None, y: Callable[[Any], Any] | None) -> Data:
    """``data`` with functions of its inputs and of its labels applied, array by array."""

    def applied(function: Callable[[Any], Any] | None, arrays: Any) -> Any:
        if function is None or arrays is None:
            return arrays
        return map_arrays(function, arrays)

    return replace(data, x=applied(x, data.x), y=applied(y, data.y))
