"""Faults in one output's part of the loss, where the other outputs agree."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason
from loopbench_diagnose import diagnose
from loopbench_diagnose.loops import Loop

from .fault_models import Problem, images, reasons, taped

Penalty = Callable[[Any, Any], Any]


def _with_code() -> Problem:
    """Classes of a code: a mean and a logarithm of a variance, which the loss may penalize."""
    _, data = images()

    def build() -> keras.Model:
        inputs = keras.Input((6, 6, 1))
        hidden = layers.Dense(4, activation="tanh")(layers.Flatten()(inputs))
        mean, log_variance = layers.Dense(2)(hidden), layers.Dense(2)(hidden)
        code = layers.Concatenate()([mean, log_variance])
        return keras.Model(inputs, [mean, log_variance, layers.Dense(3, activation="softmax")(code)])

    return build, data


def divergence(mean: Any, log_variance: Any) -> Any:
    """Of a Gaussian from the standard one, summed over the values of a sample."""
    return tf.reduce_mean(tf.reduce_sum(-0.5 * (1 + log_variance - mean**2 - tf.exp(log_variance)), axis=1))


def l1(mean: Any, _: Any) -> Any:
    return tf.reduce_mean(tf.reduce_sum(tf.abs(mean), axis=1))


def cubes(mean: Any, log_variance: Any) -> Any:
    return tf.reduce_mean(tf.abs(mean) ** 3) + tf.reduce_mean(tf.abs(log_variance) ** 3)


def penalized(penalty: Penalty, factor: float, mask: Any = None) -> Loop:
    def loss(y: Any, outputs: Any) -> Any:
        mean, log_variance, classes = outputs
        kept = 1.0 if mask is None else mask(y)
        losses = keras.losses.sparse_categorical_crossentropy(y, classes)
        return tf.reduce_mean(losses * kept) + factor * penalty(mean, log_variance)

    return taped(loss)


# What the second gradient holds more than the first, per sample, where the factor falls from 1 to 0.1.
PENALTIES: dict[str, tuple[Penalty, dict[str, float]]] = {
    "divergence": (divergence, {"penalty/0": -0.9, "penalty/1": -0.45}),
    "L1": (l1, {"penalty/0": -0.9}),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_of_outputs_with_another_factor(name: str) -> None:
    penalty, expected = PENALTIES[name]
    build, data = _with_code()
    diagnosis = diagnose(build, data, penalized(penalty, 1.0), penalized(penalty, 0.1))
    assert reasons(diagnosis) == [Reason.REGULARIZATION]
    found = {item.name: item.observed for item in diagnosis.causes[0].evidence if item.name.startswith("penalty")}
    assert found == {name: pytest.approx(value, rel=1e-3) for name, value in expected.items()}


@pytest.mark.parametrize("masks", [False, True])
def test_an_output_that_agrees_is_no_cause(*, masks: bool) -> None:
    """Neither its classes nor its mask, which both sides have, explain the difference of the others."""
    build, data = _with_code()
    mask = (lambda y: tf.cast(y > 0, tf.float32)) if masks else None
    diagnosis = diagnose(build, data, penalized(cubes, 1.0, mask), penalized(cubes, 0.1, mask))
    assert reasons(diagnosis) == [Reason.LOSS_FUNCTION]
