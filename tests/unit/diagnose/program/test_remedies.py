"""Which fixes are tried for which models and data."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from loopbench_diagnose import Data, Side, compile_and_fit
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import frozen, hidden, initial, scale
from loopbench_diagnose.program.run import Program

L = keras.layers
RANDOM = np.random.default_rng(8)
X = RANDOM.normal(size=(80, 4)).astype("float32")
Y = (X[:, :1] + X[:, 1:2] ** 2).astype("float32")
UNIT = Data(X, Y)
TRAIN = compile_and_fit(optimizer="sgd", loss="mse", batch_size=20)
LEARNT = RANDOM.normal(size=(4, 6)).astype("float32")


def model(*parts: Any) -> Callable[[], keras.Model]:
    return lambda: keras.Sequential([keras.Input((4,)), *(L.Dense(**part) for part in parts), L.Dense(1)])


def with_frozen_layer(kernel: Any = None) -> keras.Model:
    made = model({"units": 6})()
    made.layers[0].trainable = False
    if kernel is not None:
        made.layers[0].kernel.assign(kernel)
    return made


def freezing(model: keras.Model, data: Any, epochs: int = 1) -> Any:
    model.layers[0].trainable = False
    return TRAIN(model, data, epochs)


def bench(build_model: Any, data: Any = UNIT, loop: Any = TRAIN) -> Bench:
    return Bench(Program(build_model, data, loop, epochs=1, samples=80, seed=0))


PLAIN = model({"units": 6, "activation": "relu"})
SMALL = keras.initializers.RandomNormal(stddev=0.001)


@pytest.mark.parametrize(
    ("build_model", "loop", "found"),
    [
        (with_frozen_layer, TRAIN, ["VARIABLES_LEFT_OUT"]),
        (model({"units": 6}), freezing, ["VARIABLES_LEFT_OUT"]),
        (lambda: with_frozen_layer(LEARNT), TRAIN, []),
        (PLAIN, TRAIN, []),
    ],
)
def test_layers_that_are_frozen_at_random(build_model: Any, loop: Any, found: list[str]) -> None:
    examined = bench(build_model, loop=loop)
    remedies = list(frozen.remedies(examined))
    assert [remedy.reason for remedy in remedies] == found
    for remedy in remedies:
        # Trials freeze what the loop freezes, and the fix frees it.
        start = examined.program.harness.made().weights[0]
        assert np.array_equal(examined.outcome({}).weights[0], start)
        assert not np.array_equal(examined.outcome(remedy.changes).weights[0], start)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (UNIT, []),
        (Data(X * 100, Y), [{"inputs": True}]),
        (Data(X, Y + 500), [{"targets": True}]),
        (Data(X * 100, Y + 500), [{"inputs": True}, {"targets": True}, {"inputs": True, "targets": True}]),
        (Data((X * 100).astype("int64"), Y), [{"inputs": True}]),
    ],
)
def test_scales_of_inputs_and_targets(data: Data, found: list[dict[str, bool]]) -> None:
    assert [remedy.changes for remedy in scale.remedies(bench(PLAIN, data))] == found


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"activation": "relu"}, []),
        ({"activation": "relu", "kernel_initializer": SMALL}, ["CONSTANT_INITIALIZATION"]),
        (
            {"activation": "relu", "kernel_initializer": keras.initializers.RandomNormal(stddev=9)},
            ["INITIAL_WEIGHTS"],
        ),
    ],
)
def test_initial_weights_that_are_far_from_the_usual_ones(part: dict[str, Any], found: list[str]) -> None:
    remedies = initial.remedies(bench(model({"units": 6, **part})))
    assert [remedy.reason for remedy in remedies] == found


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([{"units": 6, "activation": "relu"}], []),
        (
            [{"units": 6, "activation": "relu", "bias_initializer": keras.initializers.Constant(-50)}],
            ["DEAD_UNITS"] * 2,
        ),
        ([{"units": 6, "activation": "tanh"}], ["MODEL"]),
        ([{"units": 6, "activation": "tanh", "kernel_initializer": SMALL}] * 4, ["ZERO_GRADIENT"]),
        ([{"units": 6}], ["MODEL"]),
    ],
)
def test_activations_of_hidden_layers(parts: list[dict[str, Any]], found: list[str]) -> None:
    assert [remedy.reason for remedy in hidden.remedies(bench(model(*parts)))] == found


def test_a_side_may_build_the_model() -> None:
    assert [remedy.reason for remedy in frozen.remedies(bench(PLAIN, loop=Side(TRAIN, build_model=with_frozen_layer)))]
