"""Faults in the loss: what it is divided by, and what it takes labels and outputs for."""

from typing import Any

import keras
import pytest
import tensorflow as tf

from loopbench.spec import Reason, Side
from loopbench_diagnose import compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import (
    LAST,
    SIZE,
    Loss,
    adam,
    heads,
    images,
    log_of_class,
    mean_log,
    only,
    reviews,
    sgd,
    signals,
    squared,
    taped,
)


def fit(loss: Any, **options: Any) -> Loop:
    return compile_and_fit(**{"optimizer": sgd(), "batch_size": SIZE, "loss": loss, **options})


def _sum_of_outputs(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.reduce_sum(tf.square(y - outputs), axis=1))


def _sum_of_batch(y: Any, outputs: Any) -> Any:
    return tf.reduce_sum(log_of_class(y, outputs))


def _sum_of_all(y: Any, outputs: Any) -> Any:
    return tf.reduce_sum(tf.square(y - outputs))


def test_a_sum_over_outputs() -> None:
    build, data = signals(outputs=3)
    diagnosis = diagnose(build, data, fit("mse"), taped(_sum_of_outputs))
    found = only(diagnosis, Reason.LOSS_REDUCTION)
    for name in ("loss_ratio", "gradient_ratio", "movement_ratio/1"):
        assert found[name].observed == pytest.approx(3, rel=1e-4)
    assert found["gradient_ratio_spread"].observed == pytest.approx(0, abs=1e-4)
    assert "0.15 instead of 0.05" in diagnosis.causes[0].consequence
    assert "3 is the number of outputs" in diagnosis.causes[0].fix
    assert "multiply the second side's learning rate by 0.333333 (from 0.05 to 0.0166667)" in diagnosis.causes[0].fix


def _scaled_and_clipped(loss: Loss, limit: float, scale: float = 1.0) -> Loop:
    """A loop that scales the loss and clips by hand, after it has divided the gradients by the scale."""

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
            scaled = scale * value
        gradients = [one / scale for one in tape.gradient(scaled, model.trainable_variables)]
        optimizer.apply(tf.clip_by_global_norm(gradients, limit)[0], model.trainable_variables)
        return value

    return steps(step, optimizer=sgd(), batch_size=SIZE)


@pytest.mark.parametrize("scale", [1.0, 2.0**10])
def test_a_sum_over_outputs_beside_a_scale_by_hand(scale: float) -> None:
    """No gradient is as long as the limit, so the division shows what the loop takes out again."""
    build, data = signals(outputs=3)
    first = fit("mse", optimizer=sgd(global_clipnorm=1e3))
    diagnosis = diagnose(build, data, first, _scaled_and_clipped(_sum_of_outputs, 1e3, scale))
    found = only(diagnosis, Reason.LOSS_REDUCTION)
    for name in ("loss_ratio", "gradient_ratio", "movement_ratio/1"):
        assert found[name].observed == pytest.approx(3, rel=1e-4)


def test_a_sum_that_is_clipped_where_the_mean_is_not() -> None:
    build, data = signals(outputs=3)
    limit = 10.0
    first = fit("mse", optimizer=sgd(global_clipnorm=limit))
    diagnosis = diagnose(build, data, first, _scaled_and_clipped(_sum_of_all, limit))
    assert Reason.LOSS_REDUCTION in [cause.reason for cause in diagnosis.causes]


@pytest.mark.slow
def test_a_sum_over_the_batch() -> None:
    build, data = images()
    diagnosis = diagnose(build, data, fit("sparse_categorical_crossentropy"), taped(_sum_of_batch))
    found = only(diagnosis, Reason.LOSS_REDUCTION)
    assert found["gradient_ratio"].observed == pytest.approx(SIZE, rel=1e-4)
    assert found["gradient_ratio/partial_batch"].observed == pytest.approx(SIZE // 2, rel=1e-4)
    assert "16 is the number of samples in the batch" in diagnosis.causes[0].fix


@pytest.mark.slow
def test_a_sum_over_batch_and_outputs() -> None:
    build, data = signals(outputs=3)
    found = only(diagnose(build, data, taped(squared), taped(_sum_of_all)), Reason.LOSS_REDUCTION)
    assert found["gradient_ratio"].observed == pytest.approx(3 * SIZE, rel=1e-4)


@pytest.mark.slow
def test_a_keras_loss_that_sums_on_the_first_side() -> None:
    build, data = signals(outputs=3)
    diagnosis = diagnose(build, data, fit(keras.losses.MeanSquaredError(reduction="sum")), taped(squared))
    found = only(diagnosis, Reason.LOSS_REDUCTION)
    assert found["gradient_ratio"].observed == pytest.approx(1 / SIZE, rel=1e-4)


@pytest.mark.slow
def test_a_sum_over_outputs_under_adam_has_next_to_no_effect() -> None:
    build, data = signals(outputs=3)
    diagnosis = diagnose(build, data, fit("mse", optimizer=adam()), taped(_sum_of_outputs, optimizer=adam()))
    found = only(diagnosis, Reason.LOSS_REDUCTION)
    assert found["gradient_ratio"].observed == pytest.approx(3, rel=1e-4)
    assert found["movement_ratio/1"].observed == pytest.approx(1, rel=1e-2)
    assert diagnosis.causes[0].consequence.startswith("Next to none under Adam")


@pytest.mark.slow
def test_under_adam_a_sum_ranks_below_what_has_an_effect() -> None:
    build, data = signals(outputs=3)
    other_rate = taped(_sum_of_outputs, optimizer=adam(learning_rate=0.02))
    diagnosis = diagnose(build, data, taped(squared, optimizer=adam()), other_rate)
    assert [cause.reason for cause in diagnosis.causes] == [Reason.LEARNING_RATE, Reason.LOSS_REDUCTION]


@pytest.mark.slow
def test_the_mean_of_two_outputs_instead_of_their_sum() -> None:
    build, data = heads()

    def mean_of_heads(y: Any, outputs: Any) -> Any:
        return (squared(y["value"], outputs["value"]) + mean_log(y["label"], outputs["label"])) / 2

    losses = {"value": "mse", "label": "sparse_categorical_crossentropy"}
    found = only(diagnose(build, data, fit(losses), taped(mean_of_heads)), Reason.LOSS_REDUCTION)
    assert found["gradient_ratio"].observed == pytest.approx(0.5, rel=1e-4)


@pytest.mark.slow
def test_weights_of_two_outputs_that_are_left_out() -> None:
    build, data = heads(list)

    def sum_of_heads(y: Any, outputs: Any) -> Any:
        return squared(y[0], outputs[0]) + mean_log(y[1], outputs[1])

    first = fit(["mse", "sparse_categorical_crossentropy"], loss_weights=[0.5, 2.0])
    found = only(diagnose(build, data, first, taped(sum_of_heads)), Reason.LOSS_WEIGHTS)
    assert found["gradient_ratio/value/kernel"].observed == pytest.approx(1 / 0.5, rel=1e-4)
    assert found["gradient_ratio/label/kernel"].observed == pytest.approx(1 / 2.0, rel=1e-4)


def test_another_loss() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared), taped(lambda y, outputs: tf.reduce_mean(tf.abs(y - outputs))))
    only(diagnosis, Reason.LOSS_FUNCTION)
    assert "mean_squared_error, the second mean_absolute_error" in diagnosis.causes[0].title


def test_a_gradient_that_nothing_explains() -> None:
    """The outputs have the same gradient on both sides, and one variable has noise added to its own."""
    build, data = signals()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def noisy(weights: Any) -> Any:
        noise = tf.reshape(tf.sin(tf.range(tf.size(weights), dtype=tf.float32)), weights.shape)
        return tf.constant(0.0), lambda upstream: upstream * noise

    def second(model: Any, data: Any, epochs: int) -> Any:
        kernel = model.layers[-1].kernel
        return taped(lambda y, outputs: squared(y, outputs) + noisy(kernel.value))(model, data, epochs)

    only(diagnose(build, data, taped(squared), second), Reason.UNEXPLAINED_GRADIENT)


def test_a_fixed_divisor() -> None:
    build, data = images()
    fixed = taped(lambda y, outputs: tf.reduce_sum(log_of_class(y, outputs)) / SIZE)
    diagnosis = diagnose(build, data, fit("sparse_categorical_crossentropy"), fixed)
    found = only(diagnosis, Reason.FIXED_DIVISOR, Side.SECOND)
    assert found["partial_batch"].observed == pytest.approx((SIZE // 2) / SIZE, rel=1e-4)
    assert f"one of {LAST} samples for 81 %" in diagnosis.causes[0].consequence


@pytest.mark.slow
def test_a_fixed_divisor_of_a_sum_over_outputs_on_the_first_side() -> None:
    build, data = signals(outputs=3)
    diagnosis = diagnose(build, data, taped(lambda y, outputs: _sum_of_all(y, outputs) / SIZE), fit("mse"))
    assert {(cause.reason, cause.side) for cause in diagnosis.causes} == {
        (Reason.LOSS_REDUCTION, None),
        (Reason.FIXED_DIVISOR, Side.FIRST),
    }


def test_a_function_of_the_mean_over_the_batch() -> None:
    """The square root of a mean has a gradient that is divided by twice the root: another number in every batch."""
    build, data = signals()
    diagnosis = diagnose(build, data, fit("mse"), taped(lambda y, z: tf.sqrt(squared(y, z))))
    found = only(diagnosis, Reason.LOSS_FUNCTION)
    assert "second loss is the square root of the other's mean" in diagnosis.causes[0].title
    assert found["gradient_ratio/whole_batch"].observed != pytest.approx(found["gradient_ratio/partial_batch"].observed)


def _mean_by_labels(y: Any, outputs: Any) -> Any:
    """A mean over the samples that weighs them by their labels, and divides by the sum of these weights."""
    weights = 1 + tf.abs(y[:, :1])
    weighted = tf.reduce_sum(weights * tf.square(y - outputs))
    return weighted / tf.reduce_sum(weights * tf.ones_like(outputs))


def _by_the_batch(y: Any, outputs: Any) -> Any:
    """The same with a division by the number of samples."""
    return _mean_by_labels(y, outputs) * tf.reduce_mean(1 + tf.abs(y[:, :1]))


def test_a_division_by_the_sum_of_weights() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, taped(_by_the_batch), taped(_mean_by_labels))
    found = only(diagnosis, Reason.LOSS_REDUCTION)
    weights = 1 + abs(data.y[:SIZE, 0])
    assert found["gradient_ratio/whole_batch"].observed == pytest.approx(1 / weights.mean(), rel=1e-4)
    assert "different sums" in diagnosis.causes[0].title


def test_losses_that_no_table_has() -> None:
    """An overlap of the whole batch against that of each sample."""
    build, data = signals(activation="sigmoid")

    def overlap(axis: Any) -> Any:
        def loss(y: Any, z: Any) -> Any:
            both = tf.reduce_sum(tf.abs(y) * z, axis)
            return tf.reduce_mean(1 - both / (1 + tf.reduce_sum(tf.abs(y) + z, axis)))

        return loss

    only(diagnose(build, data, taped(overlap(1)), taped(overlap((0, 1)))), Reason.LOSS_FUNCTION)


def test_an_activation_before_a_loss_that_applies_it_again() -> None:
    build, data = images(activation=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    diagnosis = diagnose(build, data, fit(loss), taped(lambda y, outputs: loss(y, tf.nn.softmax(outputs))))
    only(diagnosis, Reason.FROM_LOGITS, Side.SECOND)
    assert "applies softmax to the outputs before a loss" in diagnosis.causes[0].title


def test_labels_without_the_outputs_last_axis() -> None:
    build, data = signals(outputs=1)
    flat = type(data)(data.x, data.y[:, 0])
    diagnosis = diagnose(build, flat, fit("mse"), taped(squared))
    found = only(diagnosis, Reason.LABELS_BROADCAST, Side.SECOND)
    assert found["gradient_gap"].observed > 0.01
    assert found["gradient_gap_without_cause"].observed == pytest.approx(0, abs=1e-4)
    assert "(n,) against outputs (n, 1)" in found["shapes"].description


CROSSENTROPIES: dict[str, tuple[Any, Any, Loss]] = {
    "softmax": (
        images(),
        "sparse_categorical_crossentropy",
        lambda y, outputs: tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(tf.one_hot(tf.cast(y, tf.int32), 3), outputs)
        ),
    ),
    "linear": (
        images(activation=None),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.SparseCategoricalCrossentropy(),
    ),
    "sigmoid": (
        reviews(),
        "binary_crossentropy",
        lambda y, outputs: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=outputs)),
    ),
    "binary": (
        # Outputs from 0 to 1 that are no probabilities for all that.
        reviews(activation=None, bias_initializer=keras.initializers.Constant(0.25)),
        keras.losses.BinaryCrossentropy(from_logits=True),
        lambda y, outputs: tf.reduce_mean(keras.losses.binary_crossentropy(y, outputs)),
    ),
}


@pytest.mark.parametrize(
    "name", ["softmax", *(pytest.param(name, marks=pytest.mark.slow) for name in CROSSENTROPIES if name != "softmax")]
)
def test_outputs_taken_for_what_they_are_not(name: str) -> None:
    (build, data), right, wrong = CROSSENTROPIES[name]
    diagnosis = diagnose(build, data, fit(right), taped(wrong))
    found = only(diagnosis, Reason.FROM_LOGITS, Side.SECOND)
    assert found["gradient_gap"].observed > 0.1
    probabilities = name in ("softmax", "sigmoid")
    assert ("no probabilities" not in found["outputs"].description) == probabilities
    assert ("takes probabilities for logits" in diagnosis.causes[0].title) == probabilities


@pytest.mark.slow
@pytest.mark.parametrize("function", [tf.square, tf.abs])
def test_a_table_of_all_pairs_that_a_loop_makes_by_itself(function: Any) -> None:
    """Whatever shape its labels have."""
    build, data = signals(outputs=1)
    pairs = taped(lambda y, z: tf.reduce_mean(function(tf.reshape(y, (-1,)) - z)))
    right = taped(lambda y, z: tf.reduce_mean(function(y - z)))
    only(diagnose(build, data, right, pairs), Reason.LABELS_BROADCAST, Side.SECOND)
    assert diagnose(build, data, right, right).causes == ()
