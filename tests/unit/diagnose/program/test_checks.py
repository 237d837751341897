"""Checks without trials, on programs that train for an epoch: the faulty ones are found, the repaired ones are not."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose import Data
from loopbench_diagnose.findings import Findings
from loopbench_diagnose.program.checks import gradients, labels, metrics, non_finite, randomness, validation_data
from loopbench_diagnose.program.run import Program

L = keras.layers
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(60, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64") + (X[:, 0] > 1)
HELD = Data(RANDOM.normal(size=(30, 4)).astype("float32"), Y[:30])
NUMBERS = X[:, :1] * 2


def classes() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), L.Dense(6, activation="relu"), L.Dense(3, activation="softmax")])


def numbers() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, L.Dense(1)(L.Dense(5, activation="tanh")(inputs)))


def rounded() -> keras.Model:
    inputs = keras.Input((4,))
    hidden = keras.ops.round(L.Dense(5)(inputs))
    return keras.Model(inputs, L.Dense(1)(hidden))


def fit(
    loss: str = "sparse_categorical_crossentropy",
    metric: Any = "accuracy",
    x: Callable[[Any], Any] = lambda x: x,
    y: Callable[[Any], Any] = lambda y: y,
    held: Callable[[Any], Any] = lambda x: x,
) -> Any:
    def train(model: keras.Model, data: Any, epochs: int = 1) -> Any:
        model.compile(loss=loss, optimizer="adam", metrics=[metric])
        validation = data.validation and (held(data.validation.x), data.validation.y)
        return model.fit(x(data.x), y(data.y), epochs=epochs, batch_size=20, validation_data=validation, verbose=0)

    return train


def noisy(*, once: bool) -> Any:
    """Adds noise to every batch, by one generator or by a new one of the same seed."""

    def train(model: keras.Model, data: Any, epochs: int = 1) -> None:
        optimizer, generator = keras.optimizers.Adam(), np.random.default_rng(0)
        for start in [start for _ in range(epochs) for start in range(0, len(data.x) - 19, 20)]:
            drawn = generator if once else np.random.default_rng(0)
            x = data.x[start : start + 20] + drawn.normal(size=(20, 4)).astype("float32")
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x, training=True) - data.y[start : start + 20]) ** 2)
            optimizer.apply_gradients(
                zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
            )

    return train


def reasons(check: Any, build_model: Any, data: Any, loop: Any) -> list[str]:
    findings = Findings()
    check(Program(build_model, data, loop, epochs=None, samples=60, seed=0), findings)
    return [cause.reason for cause in findings.causes]


SHARED = Data(X, Y, validation=Data(X[:20], Y[:20]))
RAW = Data(255 * X, Y, validation=Data(255 * HELD.x, HELD.y))
ONE_HOT = Data(X, np.eye(3)[Y])
WITH_NAN = Data(np.where(np.arange(60)[:, None] == 3, np.nan, X).astype("float32"), NUMBERS)


def scaled(x: Any) -> Any:
    return x / 255


@pytest.mark.parametrize(
    ("check", "build_model", "faulty", "repaired", "reason"),
    [
        (validation_data.check, classes, (SHARED, fit()), (Data(X, Y, validation=HELD), fit()), "VALIDATION_DATA"),
        (validation_data.check, classes, (RAW, fit(x=scaled)), (RAW, fit(x=scaled, held=scaled)), "VALIDATION_DATA"),
        (
            metrics.check,
            numbers,
            (Data(X, NUMBERS), fit("mse")),
            (Data(X, NUMBERS), fit("mse", "mae")),
            "UNSUITED_METRIC",
        ),
        (
            metrics.check,
            classes,
            (ONE_HOT, fit("categorical_crossentropy", "binary_accuracy")),
            (ONE_HOT, fit("categorical_crossentropy")),
            "UNSUITED_METRIC",
        ),
        (labels.check, classes, (Data(X, Y), fit(y=lambda y: y // 9)), (Data(X, Y), fit()), "LABELS"),
        (labels.check, classes, (Data(X, Y), fit(x=lambda x: x[::-1])), (Data(X, Y), fit()), "PAIRS_SHUFFLED_APART"),
        (non_finite.check, numbers, (WITH_NAN, fit("mse", "mae")), (Data(X, NUMBERS), fit("mse", "mae")), "NON_FINITE"),
        (
            randomness.check,
            numbers,
            (Data(X, NUMBERS), noisy(once=False)),
            (Data(X, NUMBERS), noisy(once=True)),
            "REPEATED_RANDOMNESS",
        ),
    ],
)
def test_a_fault_is_found_and_its_repair_is_not(
    check: Any, build_model: Any, faulty: Any, repaired: Any, reason: str
) -> None:
    assert reasons(check, build_model, *faulty) == [reason]
    assert reasons(check, build_model, *repaired) == []


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_gradients_end_at_what_is_flat() -> None:
    data = Data(X, NUMBERS)
    assert reasons(gradients.check, rounded, data, fit("mse", "mae")) == ["ZERO_GRADIENT"]
    assert reasons(gradients.check, numbers, data, fit("mse", "mae")) == []


def test_a_bias_that_cancels_is_a_note() -> None:
    def differences() -> keras.Model:
        inputs, part = keras.Input((4,)), L.Dense(3)
        return keras.Model(inputs, L.Dense(1)(part(inputs) - part(-inputs)))

    findings = Findings()
    gradients.check(Program(differences, Data(X, NUMBERS), fit("mse"), epochs=None, samples=60, seed=0), findings)
    assert findings.causes == ()
    assert "bias" in findings.notes[0]
