"""Samples as TensorFlow has them."""

from functools import lru_cache
from typing import Any

import tensorflow as tf

from loopbench_server.engine.data import Samples


# For the training set and the validation set: MNIST's take 220 MB, which every function shares.
@lru_cache(maxsize=2)
def as_tensors(samples: Samples) -> tuple[Any, Any]:
    """Images float32[n, 28, 28] and one-hot labels float32[n, 10]."""
    return tf.constant(samples.images), tf.constant(samples.one_hot)
