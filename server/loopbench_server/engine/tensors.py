"""Samples as tensors."""

from functools import lru_cache
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from loopbench_server.engine.data import ALIGNMENT, Samples, aligned_copy


def _tensor(array: NDArray[Any]) -> Any:
    """Return a tensor with the memory of ``array`` on the CPU, if TensorFlow can use it; elsewhere a copy.

    Both ways create the same number of tensors. TensorFlow counts tensors for the names of functions, and XLA finds
    compiled functions by these names: otherwise the alignment of memory would decide whether XLA compiles again.
    """
    if array.ctypes.data % ALIGNMENT:
        array = aligned_copy(array)
    return tf.identity(tf.experimental.dlpack.from_dlpack(array.__dlpack__()))


# For the training set and the validation set, which all functions share.
@lru_cache(maxsize=2)
def as_tensors(samples: Samples) -> tuple[Any, Any]:
    """Return images float32[n, 28, 28] and one-hot labels float32[n, 10]; the arrays must not change afterwards."""
    return _tensor(samples.images), _tensor(samples.one_hot)
