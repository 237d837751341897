"""The article's network: 784 → 256 ReLU → 128 ReLU → 10, no activation on the output."""

import hashlib
from collections.abc import Iterable

import keras
import numpy as np
from numpy.typing import NDArray

# Separates the random stream of the initial weights from that of the order.
STREAM = 0
CLASSES = 10
# Names make variables comparable in logs and digests of different runs. Name, units, activation.
LAYERS = (("hidden_1", 256, "relu"), ("hidden_2", 128, "relu"), ("outputs", CLASSES, None))


def build_model(seed: int) -> keras.Sequential:
    """Return the network with Keras's default initialisation (Glorot uniform, zero biases), drawn from ``seed`` alone.

    Input float32[batch, 28, 28], output float32[batch, 10].
    """
    seeds = np.random.SeedSequence([seed, STREAM]).generate_state(len(LAYERS))
    dense = [
        keras.layers.Dense(
            units, activation, kernel_initializer=keras.initializers.GlorotUniform(int(layer_seed)), name=name
        )
        for (name, units, activation), layer_seed in zip(LAYERS, seeds, strict=True)
    ]
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *dense], name="network")


def weights_digest(weights: Iterable[NDArray[np.float32]]) -> str:
    """Return the SHA-256 in hexadecimal of the arrays' rank, shape (little-endian int64) and float32 bytes."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(np.asarray((array.ndim, *array.shape), "<i8").tobytes())
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()
