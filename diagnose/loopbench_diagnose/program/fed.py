"""The samples that a loop trains on and validates with, as it feeds them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras

from loopbench_diagnose.data import PIPELINES, Data, leaves
from loopbench_diagnose.pipelines import pipeline_of

Factory = Callable[[], keras.Model]


def by_fit(arguments: Mapping[str, Any], build_model: Factory, most: int) -> Data:
    """The samples that a call of ``fit`` is given, ``most`` of them, with its validation set."""
    x = arguments["x"]
    if isinstance(x, PIPELINES):
        data = pipeline_of(x, build_model).read(most)
    else:
        data = Data(x, arguments["y"], arguments["sample_weight"], arguments["class_weight"])
    validation, split = arguments["validation_data"], arguments["validation_split"]
    if validation is None and split:
        # Keras takes the last samples, before it shuffles.
        count = int(len(data) * (1 - split))
        return replace(_cut(data.rows(slice(count)), most), validation=_cut(data.rows(slice(count, None)), most))
    return replace(_cut(data, most), validation=_validation(validation, build_model, most))


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
        return keras.tree.map_structure(lambda leaf: None if leaf is None else function(leaf), arrays)

    return replace(data, x=applied(x, data.x), y=applied(y, data.y))


def count(arrays: Any) -> int:
    """Samples of a nested structure."""
    return len(leaves(arrays)[0])
