"""Random layers whose noise follows the sample instead of its place in the batch.

Two loops that put the same samples into a batch in another order would otherwise draw other dropout masks for them, and
no gradient of theirs could be compared.
"""

import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.random.seed_generator import draw_seed

from loopbench_diagnose.patching import replaced

# TensorFlow's operations that draw by a seed alone.
STATELESS = ("stateless_normal", "stateless_uniform", "stateless_truncated_normal")


class PerSampleRng(threading.local):
    """Draws for the samples whose keys are in ``rows``: the same for the same sample at the same point of a call.

    The replicas of a strategy have a thread each, and one may call the model while another is in the middle of a call.
    """

    def __init__(self, used: threading.Event) -> None:
        self.rows: list[bytes] = []
        self._draws = 0
        # Shared by all threads: set as soon as a random layer draws.
        self._used = used
        # What random layers would have been seeded with since the last gradient.
        self._drawn: list[str] = []

    def drawn(self) -> list[str]:
        """The seeds of all draws since this was last called: the same twice is the same randomness twice."""
        drawn, self._drawn = self._drawn, []
        return drawn

    def _note(self, seed: Any) -> None:
        self._used.set()
        self._drawn.append(str(np.asarray(tf.convert_to_tensor(draw_seed(seed))).tolist()))

    def begin(self, rows: list[bytes]) -> None:
        """A call of the model on these samples begins."""
        self.rows, self._draws = rows, 0

    def _generators(self, count: int) -> list[np.random.Generator]:
        self._draws += 1
        keys = [zlib.crc32(row) for row in self.rows] or [0]
        # Where time steps were folded into the batch, several rows belong to one sample.
        repeat = count // len(keys) if count % len(keys) == 0 else 0
        owners = [(key, part) for key in keys for part in range(repeat)] or [(0, part) for part in range(count)]
        return [np.random.default_rng([*owner, self._draws]) for owner in owners]

    def _uniform(self, shape: Any) -> Any:
        sizes = [int(size) for size in shape]
        return np.stack([generator.random(sizes[1:]) for generator in self._generators(sizes[0])])

    def _normal(self, shape: Any) -> Any:
        sizes = [int(size) for size in shape]
        return np.stack([generator.standard_normal(sizes[1:]) for generator in self._generators(sizes[0])])

    def dropout(self, original: Any) -> Any:
        """Stands for ``dropout`` of Keras's backend."""

        def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
            if not tf.executing_eagerly():
                return original(inputs, rate, noise_shape, seed)
            self._note(seed)
            whole = tuple(inputs.shape)
            wanted = noise_shape or whole
            shape = [size if wish is None else wish for wish, size in zip(wanted, whole, strict=True)]
            keep = (self._uniform(shape) >= rate) / (1 - rate) if rate < 1 else np.zeros(shape)
            return inputs * tf.cast(keep, inputs.dtype)

        return dropout

    def normal(self, original: Any) -> Any:
        """Stands for ``normal`` of Keras's backend."""

        def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
            if not tf.executing_eagerly():
                return original(shape, mean, stddev, dtype, seed)
            self._note(seed)
            return tf.cast(mean + stddev * self._normal(shape), dtype or keras.config.floatx())

        return normal

    def uniform(self, original: Any) -> Any:
        """Stands for ``uniform`` of Keras's backend."""

        def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
            if not tf.executing_eagerly():
                return original(shape, minval, maxval, dtype, seed)
            self._note(seed)
            return tf.cast(minval + (maxval - minval) * self._uniform(shape), dtype or keras.config.floatx())

        return uniform

    def _noting(self, original: Any) -> Any:
        """Around a random operation that is given its seed: the same seed at every step is the same randomness."""

        def draw(shape: Any, seed: Any, *args: Any, **kwargs: Any) -> Any:
            if tf.executing_eagerly():
                self._drawn.append(str(np.asarray(tf.convert_to_tensor(seed)).tolist()))
            return original(shape, seed, *args, **kwargs)

        return draw

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Keras's random layers draw from here within the block."""
        # The module that the layers take their operations from; keras.random is another one, for users.
        module = keras.layers.Dropout.call.__globals__["backend"].random
        with ExitStack() as stack:
            for name in ("dropout", "normal", "uniform"):
                stack.enter_context(replaced(module, name, getattr(self, name)))
            for name in STATELESS:
                stack.enter_context(replaced(tf.random, name, self._noting))
            yield
