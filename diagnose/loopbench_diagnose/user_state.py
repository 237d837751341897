"""The caller's global state: random generators, seeds and policies are as before, also after an exception."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context
from tensorflow.python.framework import config

# Keras's seed, and the generator that layers without a seed draw from.
KERAS_ATTRIBUTES = ("global_seed_generator", "global_random_seed", "rng_seed")


def is_deterministic() -> bool:
    """Whether ``tf.config.experimental.enable_op_determinism`` was called: every random operation needs a seed then."""
    return bool(config.is_op_determinism_enabled())


@contextmanager
def preserved() -> Iterator[None]:
    """Restores the states of Python's, NumPy's, TensorFlow's and Keras's generators and Keras's dtype policy."""
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002  the caller's own
    seed: int | None = context.global_seed()
    policy = keras.config.dtype_policy()
    attributes: dict[str, Any] = {name: global_state.get_global_attribute(name) for name in KERAS_ATTRIBUTES}
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002
        tf.random.set_seed(seed)
        keras.config.set_dtype_policy(policy)
        for name, value in attributes.items():
            global_state.set_global_attribute(name, value)
