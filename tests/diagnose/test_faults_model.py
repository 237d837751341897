"""Faults in how the model is called, and in what it and the samples add to the loss."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import (
    SIZE,
    heads,
    images,
    log_of_class,
    mean_log,
    only,
    reasons,
    sgd,
    signals,
    squared,
    step_of,
    taped,
)

PENALTY = 0.05


def fit(loss: Any = "mse", **options: Any) -> Loop:
    return compile_and_fit(**{"optimizer": sgd(), "batch_size": SIZE, "loss": loss, **options})


def test_batch_normalization_without_the_training_flag() -> None:
    build, data = images(layers.BatchNormalization)
    diagnosis = diagnose(build, data, fit("sparse_categorical_crossentropy"), taped(mean_log, training=False))
    found = only(diagnosis, Reason.TRAINING_FLAG, Side.SECOND)
    assert found["moving_statistics"].observed == 0
    # Both averages, of which the variances start at 1, go 1 % of the way to the batch's.
    assert found["moving_statistics"].expected == pytest.approx(0.01, abs=0.02)


@pytest.mark.slow
def test_dropout_without_the_training_flag_on_the_first_side() -> None:
    build, data = images(lambda: layers.Dropout(0.4))
    diagnosis = diagnose(build, data, taped(mean_log, training=False), fit("sparse_categorical_crossentropy"))
    found = only(diagnosis, Reason.TRAINING_FLAG, Side.FIRST)
    assert found["gradient_gap_without_cause"].observed == pytest.approx(0, abs=1e-4)


class Halved(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A subclassed model: the flag is handed on."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.drop, self.outside = layers.Dense(8), layers.Dropout(0.5), layers.Dense(1)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.outside(self.drop(self.inside(tf.reshape(x, (-1, 16))), training=training))


@pytest.mark.slow
def test_a_subclassed_model_whose_step_forgets_the_flag() -> None:
    _, data = signals(outputs=1)

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            loss = squared(y, model(x))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    second = steps(step, optimizer=sgd(), batch_size=SIZE)
    only(diagnose(Halved, data, fit(), second), Reason.TRAINING_FLAG, Side.SECOND)


def test_validation_in_training_mode() -> None:
    build, data = images(layers.BatchNormalization, validation=True)

    def train(model: Any, data: Data, epochs: int) -> Any:
        reported = taped(mean_log)(model, data, epochs)
        losses = log_of_class(data.validation.y, model(data.validation.x, training=True)) if data.validation else 0.0
        return reported | {"val_loss": float(tf.reduce_mean(losses))}

    diagnosis = diagnose(build, data, fit("sparse_categorical_crossentropy"), train)
    only(diagnosis, Reason.EVALUATED_IN_TRAINING_MODE, Side.SECOND)


def _penalised(regularizer: str) -> Any:
    return signals(outputs=2, **{regularizer: keras.regularizers.L2(PENALTY)})


def _penalty_gradient(build: Any) -> float:
    """Of ``PENALTY * sum(kernel ** 2)``: twice the kernel, times the penalty."""
    keras.utils.set_random_seed(0)
    return float(2 * PENALTY * np.linalg.norm(build().layers[-1].kernel))


def _with_losses(times: float) -> Loop:
    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            loss = squared(y, model(x, training=True)) + times * tf.add_n(model.losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return steps(step, optimizer=sgd(), batch_size=SIZE)


def test_a_kernel_regularizer_that_is_left_out() -> None:
    build, data = _penalised("kernel_regularizer")
    found = only(diagnose(build, data, fit(), taped(squared)), Reason.REGULARIZATION, Side.SECOND)
    assert found["regularization_gradient"].observed == 0
    assert found["regularization_gradient"].expected == pytest.approx(_penalty_gradient(build), rel=1e-4)


@pytest.mark.slow
def test_an_activity_regularizer_that_is_left_out_on_the_first_side() -> None:
    build, data = _penalised("activity_regularizer")
    found = only(diagnose(build, data, taped(squared), _with_losses(1)), Reason.REGULARIZATION, Side.FIRST)
    assert found["regularization_gradient"].observed == 0
    assert found["regularization_gradient"].expected > 0


@pytest.mark.slow
def test_a_regularizer_that_counts_twice() -> None:
    build, data = _penalised("kernel_regularizer")
    diagnosis = diagnose(build, data, _with_losses(1), _with_losses(2))
    found = only(diagnosis, Reason.REGULARIZATION, Side.SECOND)
    once = _penalty_gradient(build)
    assert found["regularization_gradient"].expected == pytest.approx(once, rel=1e-4)
    assert found["regularization_gradient"].observed == pytest.approx(2 * once, rel=1e-4)
    assert "2 times" in diagnosis.causes[0].title


@pytest.mark.slow
def test_a_regularizer_that_is_divided_by_the_batch_on_the_first_side() -> None:
    build, data = _penalised("kernel_regularizer")
    found = only(diagnose(build, data, _with_losses(1 / SIZE), _with_losses(1)), Reason.REGULARIZATION, Side.FIRST)
    assert found["regularization_gradient"].observed == pytest.approx(_penalty_gradient(build) / SIZE, rel=1e-3)


@pytest.mark.slow
def test_a_sum_over_outputs_and_regularization_together_are_one_cause() -> None:
    build, data = _penalised("kernel_regularizer")

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            loss = 2 * (squared(y, model(x, training=True)) + tf.add_n(model.losses))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    diagnosis = diagnose(build, data, _with_losses(1), steps(step, optimizer=sgd(), batch_size=SIZE))
    assert only(diagnosis, Reason.LOSS_REDUCTION)["gradient_ratio"].observed == pytest.approx(2, rel=1e-4)


def test_sample_weights_that_are_dropped() -> None:
    build, data = signals()
    weights = np.linspace(0.1, 4.0, len(data.x)).astype(np.float32)
    found = only(
        diagnose(build, replace(data, sample_weight=weights), fit(), taped(squared)),
        Reason.SAMPLE_WEIGHTS,
        Side.SECOND,
    )
    assert "sample weights from 0.1 to 4" in found["weights"].description


@pytest.mark.slow
def test_sample_weights_of_two_outputs_that_are_dropped() -> None:
    build, data = heads()
    halves = {name: np.where(np.arange(len(data.x)) % 2, 3.0, 1.0).astype(np.float32) for name in ("value", "label")}

    def loss(y: Any, outputs: Any) -> Any:
        return squared(y["value"], outputs["value"]) + mean_log(y["label"], outputs["label"])

    losses = {"value": "mse", "label": "sparse_categorical_crossentropy"}
    diagnosis = diagnose(build, replace(data, sample_weight=halves), fit(losses), taped(loss))
    only(diagnosis, Reason.SAMPLE_WEIGHTS, Side.SECOND)


CLASSES = {0: 0.2, 1: 1.0, 2: 5.0}


@pytest.mark.slow
def test_class_weights_that_are_dropped() -> None:
    build, data = images()
    diagnosis = diagnose(
        build, replace(data, class_weight=CLASSES), fit("sparse_categorical_crossentropy"), taped(mean_log)
    )
    found = only(diagnosis, Reason.SAMPLE_WEIGHTS, Side.SECOND)
    assert str(CLASSES) in found["weights"].description


def _reads_class_weights(reduce: Any) -> Loop:
    """Needs a weight for every class, and has no other value where there is none."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        assert data.class_weight is not None
        known = tf.constant([data.class_weight[label] for label in CLASSES])

        def loss(y: Any, outputs: Any) -> Any:
            weights = tf.gather(known, y)
            return reduce(log_of_class(y, outputs) * weights, weights)

        return taped(loss)(model, data, epochs)

    return train


BY_HAND: dict[str, tuple[Any, list[Reason]]] = {
    "mean": (lambda losses, _: tf.reduce_mean(losses), []),
    "sum": (lambda losses, _: tf.reduce_sum(losses), [Reason.LOSS_REDUCTION]),
    "mean of weights": (
        lambda losses, weights: tf.reduce_sum(losses) / tf.reduce_sum(weights),
        [Reason.SAMPLE_WEIGHTS],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_loop_that_reads_class_weights_without_a_fallback(name: str) -> None:
    build, data = images()
    reduce, expected = BY_HAND[name]
    first = fit("sparse_categorical_crossentropy")
    diagnosis = diagnose(build, replace(data, class_weight=CLASSES), first, _reads_class_weights(reduce))
    assert reasons(diagnosis) == expected
    assert diagnosis.not_tested == ()


@pytest.mark.slow
def test_class_weights_that_fit_alone_is_given() -> None:
    build, data = images()
    weighted = fit("sparse_categorical_crossentropy", fit_options={"class_weight": CLASSES})
    only(diagnose(build, data, weighted, taped(mean_log)), Reason.SAMPLE_WEIGHTS, Side.SECOND)


@pytest.mark.slow
def test_sample_weights_that_are_normalised_otherwise() -> None:
    """The sum over the weights' sum, where Keras takes the mean over the samples."""
    build, data = signals()
    weights = np.linspace(0.1, 4.0, len(data.x)).astype(np.float32)

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            losses = tf.reduce_mean(tf.square(y - model(x, training=True)), axis=1)
            loss = tf.reduce_sum(losses * weight) / tf.reduce_sum(weight)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    second = steps(step, optimizer=sgd(), batch_size=SIZE)
    diagnosis = diagnose(build, replace(data, sample_weight=weights), fit(), second)
    found = only(diagnosis, Reason.SAMPLE_WEIGHTS)
    assert found["gradient_gap"].observed == pytest.approx(abs(1 / weights[:SIZE].mean() - 1), rel=1e-4)
    assert "not by the sum of their weights" in diagnosis.causes[0].fix


@pytest.mark.slow
def test_a_step_that_leaves_the_flag_to_the_model() -> None:
    """A custom train_step against Keras's own on the same model."""
    _, data = signals(outputs=1)

    class Stepping(Halved):
        def train_step(self, data: Any) -> Any:
            return {"squares": step_of(squared, training=False)(self, self.optimizer, data[0], data[1], None)}

    only(diagnose(Stepping, data, fit(stock_steps=True), fit()), Reason.TRAINING_FLAG, Side.SECOND)
