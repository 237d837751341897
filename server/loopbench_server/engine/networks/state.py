"""Digest of a network's weights and states."""

import hashlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def get_state(model: keras.Model) -> list[NDArray[Any]]:
    """Return the value of every variable: weights, moving statistics and the states of random generators."""
    return [variable.numpy() for variable in model.variables]


def set_state(model: keras.Model, state: Iterable[NDArray[Any]]) -> None:
    """Assign what :func:`get_state` returned."""
    for variable, value in zip(model.variables, state, strict=True):
        variable.assign(value)


def weights_digest(state: Iterable[NDArray[Any]]) -> str:
    """Return the SHA-256 in hexadecimal of the arrays' rank, shape (little-endian int64) and bytes.

    A value is a little-endian float32, or a little-endian int64 for the state of a random generator.
    """
    digest = hashlib.sha256()
    for array in state:
        digest.update(np.asarray((array.ndim, *array.shape), "<i8").tobytes())
        digest.update(np.ascontiguousarray(array, "<i8" if array.dtype.kind in "iu" else "<f4").tobytes())
    return digest.hexdigest()
