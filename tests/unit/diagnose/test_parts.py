"""Recordings of loops that call the parts of a model one after the other."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from loopbench_diagnose.data import sample_keys
from loopbench_diagnose.parts import counting_calls, parts_of
from loopbench_diagnose.recording import recording
from loopbench_diagnose.trace import Trace

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
OTHERS = X + 1


class Autoencoder(keras.Model):  # type: ignore[misc]  # Keras has no types
    def __init__(self) -> None:
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(3, activation="tanh"), layers.BatchNormalization()])
        self.decoder = keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(6)])

    def call(self, x: Any, training: bool = False) -> Any:
        return self.decoder(self.encoder(x, training=training), training=training)


class Adversaries(keras.Model):  # type: ignore[misc]  # Keras has no types
    """The model calls its discriminator alone."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.Sequential([keras.Input((6,)), layers.Dense(6)])
        self.discriminator = keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(1)])

    def call(self, x: Any) -> Any:
        return self.discriminator(x)


def recorded(model: keras.Model, forward: Callable[[Any], Any], *, taped: bool = True) -> Trace:
    """The trace of one step whose loss is the sum of what ``forward`` returns, or of its calls beside a tape."""
    # Keras calls the parts for their shapes as well before it has built them.
    model(X)
    with counting_calls() as counts:
        model(X)
    calls = [counts[id(part)] for part in parts_of(model)]
    with recording(model, force_training=False, known=frozenset(sample_keys(X)), part_calls=calls) as recorder:
        if taped:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(forward(model))
            tape.gradient(loss, model.trainable_variables)
        else:
            forward(model)
        return recorder.finish({})


def test_sub_models_one_after_the_other_are_a_call_of_the_model() -> None:
    model = Autoencoder()
    (step,) = recorded(model, lambda model: model.decoder(model.encoder(X))).steps
    assert np.allclose(step.call.outputs, model(X), atol=1e-6)
    assert step.call.rows == sample_keys(X)
    assert np.array_equal(step.call.inputs, X)
    kinds = [layer.kind for layer in step.call.layers]
    assert kinds == ["Dense", "BatchNormalization", "Dense", "Dense"]


def test_operations_between_sub_models_do_not_part_them() -> None:
    model = Autoencoder()
    (step,) = recorded(model, lambda model: model.decoder(tf.stop_gradient(model.encoder(X)))).steps
    assert np.allclose(step.call.outputs, model(X), atol=1e-6)


def test_sub_models_beside_a_tape_are_one_evaluation() -> None:
    model = Autoencoder()
    (call,) = recorded(model, lambda model: model.decoder(model.encoder(X)), taped=False).evaluations
    assert np.allclose(call.outputs, model(X), atol=1e-6)


@pytest.mark.parametrize(("flags", "stated"), [((True, True), True), ((False, True), False), ((True, False), False)])
def test_one_part_out_of_training_mode_takes_the_step_out_of_it(flags: tuple[bool, bool], stated: bool) -> None:
    first, second = flags

    def forward(model: Any) -> Any:
        return model.decoder(model.encoder(X, training=first), training=second)

    (step,) = recorded(Autoencoder(), forward).steps
    assert step.call.training is stated


def _real_first(model: Any) -> Any:
    return model.discriminator(X) - model.discriminator(model.generator(OTHERS))


def _made_first(model: Any) -> Any:
    return model.discriminator(model.generator(OTHERS)) - model.discriminator(X)


@pytest.mark.parametrize("forward", [_real_first, _made_first])
def test_made_samples_do_not_stand_for_a_step_on_samples_of_the_data(forward: Any) -> None:
    model = Adversaries()
    (step,) = recorded(model, forward).steps
    assert step.call.rows == sample_keys(X)
    assert np.allclose(step.call.outputs, model(X), atol=1e-6)


def test_a_call_of_the_model_goes_before_one_of_its_parts() -> None:
    model = Autoencoder()
    (step,) = recorded(model, lambda model: model.encoder(X)[:, :1] + model(X)[:, :1]).steps
    assert np.allclose(step.call.outputs, model(X), atol=1e-6)
    assert len(step.call.layers) == 4
