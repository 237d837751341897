"""Loops that call the sub-models of the model one after the other, or freeze one of them."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import SAMPLES, SIZE, only, reasons, sgd

X = np.random.default_rng(5).normal(size=(SAMPLES, 6)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(np.int64)
CLASSES = Data(X, Y)
ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Autoencoder(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Its own step calls the parts, and not the model."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(4, activation="elu"), layers.Dense(3)])
        self.decoder = keras.Sequential([layers.Dense(4, activation="elu"), layers.Dense(6)])
        self.mean = keras.metrics.Mean(name="loss")

    def call(self, x: Any) -> Any:
        return self.decoder(self.encoder(x))

    @property
    def metrics(self) -> list[Any]:
        return [self.mean]

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.decoder(self.encoder(x, training=True), training=True) - y))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        self.mean.update_state(loss, sample_weight=tf.shape(x)[0])
        return {"loss": self.mean.result()}


def base_of() -> keras.Model:
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.BatchNormalization(name="normal")], name="base"
    )


def transfer() -> keras.Model:
    """A base with batch normalization and a head."""
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(2, name="head")(base_of()(inputs)))


class Inferring(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Its base runs in inference mode, whatever the mode of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.head = base_of(), layers.Dense(2, name="head")

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: ARG002
        return self.head(self.base(x, training=False))


def fit(loss: Any = ENTROPY, **options: Any) -> Loop:
    return compile_and_fit(**{"optimizer": sgd(), "batch_size": SIZE, "loss": loss, **options})


def by_parts(training: bool = True, times: float = 1.0) -> Loop:
    """Calls the base, in that mode, and then the head; ``times`` is a factor of the loss."""

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            loss = times * ENTROPY(y, model.get_layer("head")(model.get_layer("base")(x, training=training)))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return steps(step, optimizer=sgd(), batch_size=SIZE)


def test_nothing_is_told_of_a_base_and_a_head() -> None:
    assert diagnose(transfer, CLASSES, fit(), by_parts()).causes == ()


@pytest.mark.slow
@pytest.mark.parametrize(("times", "expected"), [(1.0, []), (3.0, [Reason.LOSS_REDUCTION])])
def test_a_base_that_both_sides_call_in_inference_mode(times: float, expected: list[str]) -> None:
    assert reasons(diagnose(Inferring, CLASSES, fit(), by_parts(training=False, times=times))) == expected


@pytest.mark.slow
def test_nothing_is_told_of_a_step_of_an_encoder_and_a_decoder() -> None:
    assert diagnose(Autoencoder, Data(X, X), fit("mse", stock_steps=True), fit("mse")).causes == ()


def test_a_base_that_one_side_trains_in_inference_mode() -> None:
    only(diagnose(transfer, CLASSES, fit(), by_parts(training=False)), Reason.TRAINING_FLAG, Side.SECOND)


def _frozen(model: Any, data: Data, epochs: int) -> Any:
    model.get_layer("base").trainable = False
    return fit()(model, data, epochs)


def _trains_the_head(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
    variables = model.get_layer("head").trainable_variables
    with tf.GradientTape() as tape:
        loss = ENTROPY(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, variables), variables)
    return loss


def test_a_batch_normalization_of_a_base_that_one_side_freezes() -> None:
    """Frozen, it runs in inference mode; both sides shuffle, each in its order."""
    diagnosis = diagnose(transfer, CLASSES, _frozen, steps(_trains_the_head, optimizer=sgd(), batch_size=SIZE))
    found = only(diagnosis, Reason.MODEL)
    (cause,) = diagnosis.causes
    assert "BatchNormalization normal, which is frozen (trainable=False) on the first side alone" in cause.title
    dense, normal, _ = (item.observed for name, item in found.items() if name.startswith("layer/"))
    assert dense < 1e-5 < normal
    assert "times their norm" in cause.consequence


def _reshaping() -> keras.Model:
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Reshape((2, 3))(layers.Dense(6, name="last")(inputs)))


def _reshaped_by_hand(times: float) -> Loop:
    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            outputs = tf.reshape(times * model.get_layer("last")(x), (-1, 2, 3))
            loss = tf.reduce_mean(tf.square(outputs - y))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return steps(step, optimizer=sgd(), batch_size=SIZE)


def test_a_loop_that_makes_the_outputs_of_a_layer_by_itself() -> None:
    data = Data(X, X.reshape(-1, 2, 3))
    assert diagnose(_reshaping, data, fit("mse"), _reshaped_by_hand(1.0)).causes == ()
    found = diagnose(_reshaping, data, fit("mse"), _reshaped_by_hand(1.5)).causes
    assert found
    assert not any("1e+09" in cause.consequence for cause in found)
