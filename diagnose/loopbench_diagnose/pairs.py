"""Two sets, (training, validation), against (x, y) with several inputs and outputs: both are tuples of tuples."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.data import PIPELINES, DataError, leaves


def may_be_pair(given: Any) -> bool:
    """Whether it consists of two parts."""
    return isinstance(given, tuple | list) and len(given) == 2  # noqa: PLR2004  a pair


def is_pair(given: Any, build_model: Callable[[], keras.Model]) -> bool:
    """Whether it is (training, validation), and not (x, y) with several inputs and outputs.

    Raises:
        DataError: it may be either; the message says which form to use.
    """
    if not may_be_pair(given):
        return False
    if isinstance(given[0], PIPELINES):
        return True
    if not all(isinstance(part, tuple | list) for part in given):
        return False
    lengths = [{len(leaf) for leaf in leaves(part)} for part in given]
    if any(len(found) != 1 for found in lengths):
        return False
    return lengths[0] != lengths[1] or _are_sets_of_one_size(given, build_model)


def _are_sets_of_one_size(given: Any, build_model: Callable[[], keras.Model]) -> bool:
    """The same where all arrays have as many rows: shapes decide, or else the number of the model's inputs."""
    if any(len(part) == 1 for part in given):
        return False
    training, validation = ([_shapes(arrays) for arrays in part] for part in given)
    if any(one != other for one, other in zip(training, validation, strict=False)):
        return False
    inputs = len(leaves(getattr(build_model(), "inputs", None)))
    counts = {len(leaves(given[0])): False, len(leaves(given[0][0])): True}
    if inputs in counts:
        return counts[inputs]
    x, y = ({(array.shape[1:], array.dtype) for array in map(np.asarray, leaves(part))} for part in given[0][:2])
    if x == y:
        raise DataError(
            "the data are (training, validation) with as many samples each, or (x, y) with several inputs and outputs: "
            "pass Data(x, y, validation=Data(x, y)) for the former, and Data(x, y) for the latter"
        )
    return True


def _shapes(arrays: Any) -> list[tuple[int, ...]]:
    """Of one sample in each array."""
    return [tuple(np.shape(leaf)[1:]) for leaf in leaves(arrays)]
