"""Faults of execution: what a graph freezes, what XLA compiles and what does not repeat itself."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import SIZE, images, mean_log, only, rounding, sgd, signals, squared, step_of, taped


@pytest.mark.slow
def test_xla_in_compile() -> None:
    build, data = images()
    options: dict[str, Any] = {"optimizer": sgd(), "loss": "sparse_categorical_crossentropy", "batch_size": SIZE}
    diagnosis = diagnose(build, data, compile_and_fit(**options), compile_and_fit(**options, jit_compile=True))
    found = rounding(diagnosis, Reason.XLA, Side.SECOND)
    assert found["distance_from_eager"].observed < 1e-3


def test_xla_in_a_function_on_the_first_side() -> None:
    build, data = signals()
    compiled = steps(tf.function(step_of(squared), jit_compile=True), optimizer=sgd(), batch_size=SIZE)
    rounding(diagnose(build, data, compiled, taped(squared)), Reason.XLA, Side.FIRST)


def _decaying(wrap: Any) -> Loop:
    """A rate that is a Python number, halved after every step."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, state = sgd()(), {"rate": 1e-3}
        optimizer.build(model.trainable_variables)

        def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
            with tf.GradientTape() as tape:
                loss = squared(y, model(x, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
                variable.assign_sub(state["rate"] * gradient)
            state["rate"] /= 2
            return loss

        return steps(wrap(step), optimizer=sgd(), batch_size=SIZE)(model, data, epochs)

    return train


@pytest.mark.parametrize("wrap", [tf.function, partial(tf.function, jit_compile=True)], ids=["graph", "xla"])
def test_a_rate_in_a_python_variable(wrap: Any) -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, _decaying(lambda step: step), _decaying(wrap))
    found = only(diagnosis, Reason.EAGER_AND_GRAPH, Side.SECOND)
    # For one gradient three times: 3 instead of 1 + 1/2 + 1/4, and gradients hardly change.
    assert found["eager_and_graph"].observed == pytest.approx(3 / 1.75 - 1, rel=0.01)


def _noisy(wrap: Any, draw: Any) -> Loop:
    """Noise from NumPy on the labels."""

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            loss = squared(y + draw(), model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return steps(wrap(step), optimizer=sgd(), batch_size=SIZE)


@pytest.mark.slow
def test_noise_from_numpy() -> None:
    build, data = signals()

    def draw() -> Any:
        return np.random.normal(scale=2.0, size=3).astype(np.float32)  # noqa: NPY002  as people write it

    diagnosis = diagnose(build, data, _noisy(lambda step: step, draw), _noisy(tf.function, draw))
    only(diagnosis, Reason.EAGER_AND_GRAPH, Side.SECOND)


@pytest.mark.slow
def test_a_momentum_that_survives_from_run_to_run() -> None:
    build, data = images()
    velocities: dict[int, Any] = {}

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            loss = mean_log(y, model(x, training=True))
        for place, gradient in enumerate(tape.gradient(loss, model.trainable_variables)):
            velocities[place] = 0.9 * velocities.get(place, 0.0) - 0.05 * gradient
            model.trainable_variables[place].assign_add(velocities[place])
        return loss

    fit = compile_and_fit(optimizer=sgd(momentum=0.9), loss="sparse_categorical_crossentropy", batch_size=SIZE)
    diagnosis = diagnose(build, data, fit, steps(step, optimizer=sgd(), batch_size=SIZE))
    only(diagnosis, Reason.NOT_REPEATABLE, Side.SECOND)


def test_noise_that_no_seed_sets() -> None:
    build, data = signals()
    generator = np.random.default_rng()

    def train(model: Any, data: Data, epochs: int) -> Any:
        noise = generator.normal(size=data.y.shape).astype(np.float32)
        return taped(squared)(model, Data(data.x, data.y + noise), epochs)

    diagnosis = diagnose(build, data, taped(squared), train)
    only(diagnosis, Reason.NOT_REPEATABLE, Side.SECOND)
