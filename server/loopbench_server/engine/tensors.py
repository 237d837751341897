"""Samples as TensorFlow has them."""

from functools import lru_cache
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from loopbench_server.engine.data import ALIGNMENT, Samples, aligned_copy


def _tensor(array: NDArray[Any]) -> Any:
    """On the CPU the very memory of ``array``, where TensorFlow can use it; elsewhere a copy.

    Both take the same number of tensors. TensorFlow counts them for the names of functions, and XLA finds what it has
    compiled by these names: by where memory happens to lie it would compile all anew.
    """
    if array.ctypes.data % ALIGNMENT:
        array = aligned_copy(array)
    return tf.identity(tf.experimental.dlpack.from_dlpack(array.__dlpack__()))


# For the training set and the validation set, which every function shares.
@lru_cache(maxsize=2)
def as_tensors(samples: Samples) -> tuple[Any, Any]:
    """Images float32[n, 28, 28] and one-hot labels float32[n, 10]; the arrays are not to be written to any more."""
    return _tensor(samples.images), _tensor(samples.one_hot)
