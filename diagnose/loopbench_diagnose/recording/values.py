"""Values of tensors and variables as they are recorded."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.trace import Arrays


def float64(tensor: Any) -> Any:
    """The values of a tensor or a variable, as float64."""
    # A variable by way of its tensor: NumPy deprecates how variables turn themselves into arrays.
    return np.asarray(tf.convert_to_tensor(tensor), np.float64)


def total(tensor: Any) -> float:
    """The sum of all values."""
    return float(float64(tensor).sum())


def is_number(tensor: Any) -> bool:
    """Whether the values are numbers or truth values."""
    dtype = tf.as_dtype(getattr(tensor, "dtype", None) or np.asarray(tensor).dtype)
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def numbers(arrays: Any) -> Any:
    """The arrays of a nested structure as float64; what holds no numbers stays as it is."""
    return keras.tree.map_structure(
        lambda leaf: float64(leaf) if is_number(leaf) else np.asarray(keras.ops.convert_to_numpy(leaf)), arrays
    )


def is_finite(value: Any) -> bool:
    """Whether no value is NaN or infinite."""
    tensor = tf.convert_to_tensor(value)
    return not tensor.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(tensor)))


def snapshot(variables: Any) -> Arrays:
    """The present values."""
    return [float64(variable) for variable in variables]


def same(first: Arrays, second: Arrays) -> bool:
    """Whether both hold the same values."""
    return len(first) == len(second) and all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)
    )
