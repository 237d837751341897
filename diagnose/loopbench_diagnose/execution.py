"""Runs a loop unwatched, to see what its own way of execution does."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from loopbench_diagnose.patching import replaced


def _no_dropout(_: Any) -> Any:
    return lambda inputs, rate, noise_shape=None, seed=None: inputs  # noqa: ARG005  Keras's signature


def _no_noise(_: Any) -> Any:
    def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:  # noqa: ARG001
        return tf.fill(shape, tf.cast(mean, dtype or keras.config.floatx()))

    return normal


@contextmanager
def executing(*, eagerly: bool) -> Iterator[list[bool]]:
    """Gives a list that fills with whether each ``tf.function`` that is called is compiled by XLA.

    Random layers draw nothing meanwhile: eagerly and in a graph they would draw other numbers for the same seed.
    """
    compiled: list[bool] = []

    def make(original: Any) -> Any:
        def call(function: Any, *args: Any, **kwargs: Any) -> Any:
            # TensorFlow has no public accessor for it.
            compiled.append(bool(getattr(function, "_jit_compile", False)))
            return original(function, *args, **kwargs)

        return call

    module = keras.layers.Dropout.call.__globals__["backend"].random
    was_eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(run_eagerly=eagerly)
    try:
        with ExitStack() as stack:
            stack.enter_context(replaced(module, "dropout", _no_dropout))
            stack.enter_context(replaced(module, "normal", _no_noise))
            stack.enter_context(replaced(type(tf.function(lambda: None)), "__call__", make))
            yield compiled
    finally:
        tf.config.run_functions_eagerly(run_eagerly=was_eager)
