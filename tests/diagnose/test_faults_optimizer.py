"""Faults between the gradient and the weights."""

from dataclasses import replace
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason, Side
from loopbench_diagnose import compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import SIZE, Loss, adam, heads, images, mean_log, only, reviews, sgd, signals, squared, taped

CLIP = 0.05


def fit(optimizer: Any, loss: Any = "mse", **options: Any) -> Loop:
    return compile_and_fit(optimizer=optimizer, loss=loss, batch_size=SIZE, **options)


def changed(change: Any, optimizer: Any = sgd(), loss: Loss = squared, scale: float = 1.0) -> Loop:  # noqa: B008
    """A loop that changes the gradients of ``scale`` times the loss before the optimizer has them."""

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
            scaled = scale * value
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply_gradients(zip(change(gradients), model.trainable_variables, strict=True))
        return value

    return steps(step, optimizer=optimizer, batch_size=SIZE)


def test_learning_rates() -> None:
    build, data = images()
    diagnosis = diagnose(
        build,
        data,
        fit("sgd", "sparse_categorical_crossentropy"),
        taped(mean_log, optimizer=sgd(learning_rate=0.1)),
    )
    found = only(diagnosis, Reason.LEARNING_RATE)
    # Ten times the update is nine updates away from it.
    assert found["update_gap"].observed == pytest.approx(9, rel=1e-4)
    assert found["configuration"].description == "First and second: learning_rate 0.01 and 0.1."


def test_adams_epsilon() -> None:
    """As other libraries have it: reported, and next to nothing."""
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared, optimizer=adam()), taped(squared, optimizer=adam(epsilon=1e-8)))
    found = only(diagnosis, Reason.EPSILON)
    assert 0 < found["update_gap"].observed < 1e-3
    assert "1e-07 and 1e-08" in found["configuration"].description


@pytest.mark.slow
def test_an_epsilon_that_is_large_against_the_gradient() -> None:
    build, data = reviews()
    diagnosis = diagnose(build, data, fit(adam(), "binary_crossentropy"), fit(adam(epsilon=1.0), "binary_crossentropy"))
    assert only(diagnosis, Reason.EPSILON)["update_gap"].observed > 0.9


def test_another_optimizer() -> None:
    build, data = signals()
    found = only(diagnose(build, data, taped(squared), taped(squared, optimizer=sgd(momentum=0.9))), Reason.OPTIMIZER)
    # Of one gradient g three times: g + 1.9 g + 2.71 g instead of 3 g, for gradients that hardly change.
    assert found["update_gap"].observed == pytest.approx((1 + 1.9 + 2.71) / 3 - 1, rel=0.1)


@pytest.mark.slow
class Warmup(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras has no types
    """As in the Transformer tutorial: without a configuration."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        return 0.01 * tf.minimum(1.0, (tf.cast(step, tf.float32) + 1) / self.steps)


def test_another_optimizer_with_a_schedule_of_the_users() -> None:
    build, data = signals()
    loops = [taped(squared, optimizer=adam(learning_rate=Warmup(3), beta_2=beta)) for beta in (0.999, 0.9)]
    found = only(diagnose(build, data, *loops), Reason.OPTIMIZER)
    assert found["configuration"].description == "First and second: beta_2 0.999 and 0.9."


def test_another_class_of_optimizer() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared), fit("rmsprop"))
    only(diagnosis, Reason.OPTIMIZER)
    assert "SGD and RMSprop" in diagnosis.causes[0].title


@pytest.mark.slow
def test_clipping_by_configuration() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared, optimizer=sgd(clipnorm=CLIP)), fit(sgd(global_clipnorm=CLIP)))
    only(diagnosis, Reason.CLIPPING)
    for name in ("clipnorm", "global_clipnorm"):
        assert name in diagnosis.causes[0].title


def test_clipping_by_hand_against_clipnorm() -> None:
    build, data = signals()
    by_hand = changed(lambda gradients: tf.clip_by_global_norm(gradients, CLIP)[0])
    found = only(diagnose(build, data, taped(squared, optimizer=sgd(clipnorm=CLIP)), by_hand), Reason.CLIPPING)
    # Four variables, each clipped to a length, are together twice as long as all of them clipped to it.
    assert found["second_lengths"].observed == pytest.approx(CLIP, rel=1e-4)
    assert found["update_lengths"].expected == pytest.approx(0.05 * CLIP * 4**0.5, rel=1e-4)
    assert found["update_lengths"].observed == pytest.approx(0.05 * CLIP, rel=1e-4)


@pytest.mark.slow
def test_clipping_by_hand_on_both_sides() -> None:
    build, data = heads()

    def loss(y: Any, outputs: Any) -> Any:
        return squared(y["value"], outputs["value"]) + mean_log(y["label"], outputs["label"])

    each = changed(lambda gradients: [tf.clip_by_norm(one, CLIP) for one in gradients], loss=loss)
    together = changed(lambda gradients: tf.clip_by_global_norm(gradients, CLIP)[0], loss=loss)
    diagnosis = diagnose(build, data, each, together)
    found = only(diagnosis, Reason.CLIPPING)
    # Six variables: two of a convolution, and two of either head.
    assert found["first_lengths"].observed == pytest.approx(CLIP * 6**0.5, rel=1e-4)
    assert found["second_lengths"].observed == pytest.approx(CLIP, rel=1e-4)


@pytest.mark.parametrize("sides", ["by hand", "by configuration"])
def test_a_clip_of_few_gradients(sides: str) -> None:
    """The first gradients are shorter than the limit."""
    build, data = signals()
    limit, labels = 20.0, data.y.copy()
    labels[SIZE + 1] *= 100
    clip = changed(lambda gradients: tf.clip_by_global_norm(gradients, limit)[0])
    second = clip if sides == "by hand" else taped(squared, optimizer=sgd(global_clipnorm=limit))
    diagnosis = diagnose(build, replace(data, y=labels), taped(squared), second)
    found = only(diagnosis, Reason.CLIPPING)
    (cause,) = diagnosis.causes
    by_hand = " by hand" if sides == "by hand" else ""
    assert f"first not at all, second global_clipnorm 20{by_hand}, from update" in cause.title
    length = found["first_lengths"].expected
    assert length > limit
    # A gradient that is shortened to the limit lacks the rest of its length.
    assert found["applied_gap"].observed == pytest.approx(1 - limit / length, rel=1e-3)
    if by_hand:
        assert found["second_lengths"].observed == pytest.approx(limit, rel=1e-4)


def test_a_clip_of_few_gradients_that_are_given_row_by_row() -> None:
    """TensorFlow takes the norm of the rows of an embedding's gradient before it adds up equal ones."""
    build, data = reviews()
    labels = data.y.copy()
    labels[SIZE + 1] = 100

    def loss(y: Any, outputs: Any) -> Any:
        return squared(tf.reshape(y, (-1, 1)), outputs)

    clip = changed(lambda gradients: tf.clip_by_global_norm(gradients, 1.0)[0], loss=loss)
    diagnosis = diagnose(build, replace(data, y=labels), taped(loss), clip)
    only(diagnosis, Reason.CLIPPING)
    assert "first not at all, second all variables by one factor, from update" in diagnosis.causes[0].title


def test_gradients_of_other_variables() -> None:
    """The kernels of two layers have one shape."""
    _, data = signals(outputs=1)

    def build() -> keras.Model:
        layers = [keras.layers.Dense(16, activation="tanh", name=name) for name in "ab"]
        return keras.Sequential([keras.Input((8, 2)), keras.layers.Flatten(), *layers, keras.layers.Dense(1)])

    exchanged = changed(lambda gradients: [*gradients[2:4], *gradients[:2], *gradients[4:]])
    diagnosis = diagnose(build, data, taped(squared), exchanged)
    only(diagnosis, Reason.UPDATE_RULE)
    assert "second side applies the gradient of" in diagnosis.causes[0].title


def test_a_clip_of_gradients_that_are_still_scaled() -> None:
    build, data = signals()
    scale = 2.0**10

    def optimizer(**options: Any) -> Any:
        return lambda: keras.optimizers.LossScaleOptimizer(sgd(**options)(), initial_scale=scale)

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            value = squared(y, model(x, training=True))
            scaled = optimizer.scale_loss(value)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(scaled, model.trainable_variables), CLIP)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    by_hand = steps(step, optimizer=optimizer(), batch_size=SIZE)
    diagnosis = diagnose(build, data, fit(optimizer(global_clipnorm=CLIP)), by_hand)
    found = only(diagnosis, Reason.CLIPPING)
    assert found["second_lengths"].observed == pytest.approx(CLIP / scale, rel=1e-4)
    (cause,) = diagnosis.causes
    assert "first global_clipnorm 0.05, second global_clipnorm 0.05 by hand before the gradients are" in cause.title
    assert "divided by the loss scale of 1024" in cause.title
    assert cause.fix.startswith("Divide the second side's gradients by the loss scale first")


def test_a_rate_that_decays_on_one_side() -> None:
    build, data = signals()

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            value = squared(y, model(x, training=True))
        optimizer.learning_rate = 0.05 * 0.5 ** float(optimizer.iterations)
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        return value

    diagnosis = diagnose(build, data, taped(squared), steps(step, optimizer=sgd(), batch_size=SIZE))
    found = only(diagnosis, Reason.LEARNING_RATE_SCHEDULE)
    assert found["rates"].expected == pytest.approx(0.05)
    assert found["rates"].observed == pytest.approx(0.025)


def test_momentum_by_hand() -> None:
    """The optimizer is the same on both sides, and gets half of the gradient before as well."""
    build, data = signals()

    def train(model: Any, data: Any, epochs: int) -> Any:
        former: dict[int, Any] = {}

        def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
            with tf.GradientTape() as tape:
                value = squared(y, model(x, training=True))
            for place, gradient in enumerate(tape.gradient(value, model.trainable_variables)):
                model.trainable_variables[place].assign_sub(0.05 * (gradient + 0.5 * former.get(place, 0.0)))
                former[place] = gradient
            return value

        return steps(step, optimizer=sgd(), batch_size=SIZE)(model, data, epochs)

    only(diagnose(build, data, taped(squared), train), Reason.UPDATE_RULE)


def _mixed() -> keras.Model:
    half = {"dtype": "mixed_float16"}
    return keras.Sequential(
        [
            keras.Input((8, 2)),
            layers.Conv1D(4, 3, activation="tanh", **half),
            layers.Flatten(**half),
            layers.Dense(3, dtype="float32"),
        ]
    )


def scaled(*, scale_loss: bool, wrapped: bool = True) -> Loop:
    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            value = squared(y, model(x, training=True))
            target = optimizer.scale_loss(value) if scale_loss else value
        optimizer.apply(tape.gradient(target, model.trainable_variables), model.trainable_variables)
        return value

    def make() -> Any:
        return keras.optimizers.LossScaleOptimizer(sgd()(), initial_scale=2.0**10) if wrapped else sgd()()

    return steps(step, optimizer=make, batch_size=SIZE)


def test_a_loss_scale_that_is_divided_by_and_not_multiplied_with() -> None:
    _, data = signals()
    diagnosis = diagnose(_mixed, data, scaled(scale_loss=True), scaled(scale_loss=False))
    found = only(diagnosis, Reason.LOSS_SCALING, Side.SECOND)
    assert (found["loss_scale"].expected, found["loss_scale"].observed) == (2**10, 1)
    assert found["update_length"].observed == pytest.approx(found["update_length"].expected / 2**10, rel=0.01)


@pytest.mark.slow
def test_an_optimizer_that_is_not_wrapped() -> None:
    """As a whole model under the policy, where ``compile`` wraps by itself."""
    _, data = signals()

    def build() -> keras.Model:
        keras.config.set_dtype_policy("mixed_float16")
        try:
            inputs = keras.Input((8, 2), dtype="float32")
            hidden = layers.Flatten()(layers.Conv1D(4, 3, activation="tanh")(inputs))
            return keras.Model(inputs, layers.Dense(3, dtype="float32")(hidden))
        finally:
            keras.config.set_dtype_policy("float32")

    diagnosis = diagnose(build, data, fit(sgd()), scaled(scale_loss=False, wrapped=False))
    only(diagnosis, Reason.LOSS_SCALING, Side.SECOND)
    assert "no loss scale optimizer" in diagnosis.causes[0].title


def test_a_loss_that_one_side_scales_by_hand() -> None:
    _, data = signals()
    scale = 2.0**10
    by_hand = changed(lambda gradients: [one / scale for one in gradients], scale=scale)
    diagnosis = diagnose(_mixed, data, by_hand, changed(list))
    found = only(diagnosis, Reason.LOSS_SCALING, Side.SECOND)
    assert (found["loss_scale"].expected, found["loss_scale"].observed) == pytest.approx((scale, 1))


@pytest.mark.slow
def test_a_schedule_is_told_in_words() -> None:
    build, data = signals()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)
    diagnosis = diagnose(build, data, taped(squared), taped(squared, optimizer=lambda: keras.optimizers.SGD(schedule)))
    (cause,) = diagnosis.causes
    assert cause.reason == Reason.LEARNING_RATE_SCHEDULE
    assert (
        "ExponentialDecay(initial_learning_rate=0.05, decay_steps=3, decay_rate=0.5" in cause.evidence[-1].description
    )


@pytest.mark.slow
def test_a_scale_that_clipping_hides() -> None:
    build, data = signals()
    clipped = sgd(clipnorm=1e-6)
    halved = taped(lambda y, outputs: squared(y, outputs) / 2, optimizer=clipped)
    diagnosis = diagnose(build, data, taped(squared, optimizer=clipped), halved)
    found = only(diagnosis, Reason.LOSS_REDUCTION)
    assert found["gradient_ratio"].observed == pytest.approx(0.5)
    assert "which clips the gradient's length" in diagnosis.causes[0].consequence


@pytest.mark.slow
def test_a_loss_scale_in_float32() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, scaled(scale_loss=True), scaled(scale_loss=False))
    only(diagnosis, Reason.LOSS_SCALING, Side.SECOND)
    assert "float16" not in diagnosis.causes[0].title
    assert diagnose(build, data, scaled(scale_loss=True), fit(sgd())).causes == ()
