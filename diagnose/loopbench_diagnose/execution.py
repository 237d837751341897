"""Runs what a block calls eagerly, or as it is."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from loopbench_diagnose.patching import replaced


def _single_steps(original: Any) -> Any:
    """``Model.compile`` for eager execution: several steps a call are a loop for graphs."""

    def compile_steps(model: Any, *args: Any, **kwargs: Any) -> Any:
        return original(model, *args, **{**kwargs, "steps_per_execution": 1})

    return compile_steps


def _without_variables(original: Any) -> Any:
    """``Optional.from_value``, by which ``fit`` hands on a step's logs.

    A variable among them becomes a tensor in a graph; eagerly it would be refused.
    """

    def tensor(value: Any) -> Any:
        return tf.convert_to_tensor(value) if isinstance(value, tf.Variable | keras.Variable) else value

    return staticmethod(lambda value: original(tf.nest.map_structure(tensor, value)))


@contextmanager
def _without_dataset_warnings() -> Iterator[None]:
    # What maps a dataset stays a graph, which is right here: no model is called within.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*does not apply to tf\.data functions", category=UserWarning)
        yield


@contextmanager
def without_tensorflow_warnings() -> Iterator[None]:
    """TensorFlow logs errors alone within the block."""
    # Every experiment has a separate model, for which a loop's function is rightly traced again; and that replicas
    # are slow eagerly is known.
    level = tf.get_logger().level
    tf.get_logger().setLevel(logging.ERROR)
    try:
        yield
    finally:
        tf.get_logger().setLevel(level)


@contextmanager
def eagerly() -> Iterator[None]:
    """Every operation by Python within the block, in every ``tf.function`` and in ``fit``."""
    was_eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(run_eagerly=True)
    try:
        with (
            _without_dataset_warnings(),
            without_tensorflow_warnings(),
            replaced(keras.Model, "compile", _single_steps),
            replaced(tf.experimental.Optional, "from_value", _without_variables),
        ):
            yield
    finally:
        tf.config.run_functions_eagerly(run_eagerly=was_eager)


def _no_dropout(_: Any) -> Any:
    return lambda inputs, rate, noise_shape=None, seed=None: inputs  # noqa: ARG005  Keras's signature


def _no_noise(_: Any) -> Any:
    def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:  # noqa: ARG001
        return tf.fill(shape, tf.cast(mean, dtype or keras.config.floatx()))

    return normal


def _noting_xla(compiled: list[bool]) -> Any:
    def make(original: Any) -> Any:
        def call(function: Any, *args: Any, **kwargs: Any) -> Any:
            # TensorFlow has no public accessor for it.
            compiled.append(bool(getattr(function, "_jit_compile", False)))
            return original(function, *args, **kwargs)

        return call

    return make


def _without_xla(original: Any) -> Any:
    """The call of a ``tf.function``, which traces it without XLA; one that is compiled already stays so."""

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        if not getattr(function, "_jit_compile", False):
            return original(function, *args, **kwargs)
        function._jit_compile = False  # noqa: SLF001  as above
        try:
            return original(function, *args, **kwargs)
        finally:
            function._jit_compile = True  # noqa: SLF001

    return call


@contextmanager
def executing(*, by_python: bool, by_xla: bool = True) -> Iterator[list[bool]]:
    """Gives a list that fills with whether each ``tf.function`` that is called is compiled by XLA.

    None is, unless ``by_xla``. Random layers draw nothing meanwhile: eagerly and in a graph they would draw other
    numbers for the same seed.
    """
    compiled: list[bool] = []
    module = keras.layers.Dropout.call.__globals__["backend"].random
    with ExitStack() as stack:
        stack.enter_context(without_tensorflow_warnings())
        stack.enter_context(replaced(module, "dropout", _no_dropout))
        stack.enter_context(replaced(module, "normal", _no_noise))
        function = type(tf.function(lambda: None))
        stack.enter_context(replaced(function, "__call__", _noting_xla(compiled)))
        if not by_xla:
            stack.enter_context(replaced(function, "__call__", _without_xla))
        if by_python:
            stack.enter_context(eagerly())
        yield compiled
