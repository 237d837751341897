"""Outputs of a network on a whole set, within the memory of a run."""

import math

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from loopbench_server.engine.data import Samples
from loopbench_server.engine.tensors import as_tensors

# float32 values that a layer may put out at once: 256 MB. The default network takes every dataset in one batch.
MOST_VALUES = 64_000_000


def largest_batch(model: keras.Model) -> int:
    """Return the number of samples of which no layer of ``model`` puts out more than MOST_VALUES values."""
    values = max(math.prod(layer.output.shape[1:]) for layer in model.layers)
    return max(1, MOST_VALUES // values)


def compute_outputs(model: keras.Model, samples: Samples) -> NDArray[np.float32]:
    """Return the outputs of ``model``, float32[n, 10], without dropout and with the moving statistics."""
    images, size = as_tensors(samples)[0], largest_batch(model)
    parts = [model(images[start : start + size], training=False) for start in range(0, len(samples), size)]
    return np.asarray(tf.concat(parts, axis=0))
