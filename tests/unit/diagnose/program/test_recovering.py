"""The configuration of a program whose training changes its optimizer, or has classes of the user's."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose import Data
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.recovery import NotRecoveredError
from loopbench_diagnose.program.remedies import rate
from loopbench_diagnose.program.run import Program

callbacks = keras.callbacks
RANDOM = np.random.default_rng(8)
DATA = Data(RANDOM.normal(size=(40, 3)).astype("float32"), RANDOM.normal(size=(40, 1)).astype("float32"))
START = 0.02
# Of Keras's callbacks that change the rate.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def build_model() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def halving() -> Any:
    return callbacks.LearningRateScheduler(lambda epoch: START * 0.5**epoch)


def on_a_plateau() -> Any:
    return callbacks.ReduceLROnPlateau(monitor="loss", mode="max", patience=0, factor=0.5)


def stopping() -> Any:
    return callbacks.EarlyStopping(monitor="loss")


class Unusual(keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    def __init__(self, pace: float, **kwargs: Any) -> None:
        super().__init__(10 * pace, **kwargs)


def fitting(callback: Any = stopping, optimizer: Any = lambda: keras.optimizers.SGD(START)) -> Any:
    def loop(model: keras.Model, data: Any, epochs: int = 4) -> None:
        model.compile(optimizer(), "mse")
        model.fit(data.x, data.y, batch_size=20, epochs=epochs, verbose=0, callbacks=[callback()])

    return loop


def by_hand(factor: float = 1.0, optimizer: Any = lambda: keras.optimizers.SGD(START)) -> Any:
    """The rate is multiplied by ``factor`` after every update."""

    def loop(model: keras.Model, data: Any, epochs: int = 4) -> None:
        made = optimizer()
        for _ in range(epochs):
            with tf.GradientTape() as tape:
                loss = keras.losses.MeanSquaredError()(data.y, model(data.x, training=True))
            made.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            if factor != 1:
                made.learning_rate = factor * made.learning_rate

    return loop


def program(loop: Any) -> Program:
    return Program(build_model, DATA, loop, epochs=None, samples=40, seed=0)


@pytest.mark.parametrize(
    ("loop", "changes"),
    [
        (fitting(halving), True),
        (fitting(on_a_plateau), True),
        (fitting(stopping), False),
        (by_hand(0.5), True),
        (by_hand(), False),
    ],
    ids=["scheduler", "plateau", "constant", "by hand", "by hand, constant"],
)
def test_the_rate_is_that_of_the_start(loop: Any, changes: bool) -> None:
    made = program(loop)
    assert made.configuration.learning_rate == pytest.approx(START)
    assert bool(list(rate.remedies(Bench(made)))) is not changes


@pytest.mark.parametrize("loop", [fitting, by_hand])
def test_an_optimizer_that_cannot_be_copied_is_not_recovered(loop: Any) -> None:
    with pytest.raises(NotRecoveredError, match="cannot be created again"):
        program(loop(optimizer=lambda: Unusual(0.001))).configuration  # noqa: B018  it is made here


def build_classes() -> keras.Model:
    return keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])


def batches(loss_of: Any, *, drops: bool) -> Any:
    """Batches of 12 of 40 samples, which the loop reshapes."""

    def loop(model: keras.Model, data: Any, epochs: int = 3) -> None:
        optimizer = keras.optimizers.SGD(START)
        for start in [start for _ in range(epochs) for start in range(0, 28 if drops else len(data.x), 12)]:
            x, y = (part[start : start + 12] for part in (data.x.reshape(-1, 2, 3), data.y))
            with tf.GradientTape() as tape:
                loss = loss_of(y, model(x, training=True))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return loop


def smoothed(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(0.9 * tf.one_hot(y, 3) + 0.1 / 3, outputs))


@pytest.mark.parametrize("drops", [False, True])
def test_a_loss_by_hand_of_classes_and_samples_in_another_shape(*, drops: bool) -> None:
    data = Data(RANDOM.normal(size=(40, 6)).astype("float32"), RANDOM.integers(0, 3, 40))
    made = Program(build_classes, data, batches(smoothed, drops=drops), epochs=None, samples=40, seed=0)
    loss = "keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)"
    assert f"loss={loss}" in made.configuration.code()
    assert (made.configuration.batch_size, made.configuration.epochs) == (12, 3)


def test_the_accuracy_of_logits_of_two_classes_has_their_threshold() -> None:
    def loop(model: keras.Model, data: Any, epochs: int = 2) -> Any:
        optimizer = keras.optimizers.SGD(START)
        for _ in range(epochs):
            with tf.GradientTape() as tape:
                outputs = model(data.x, training=True)
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(data.y, outputs))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return {"accuracy": float(np.mean((outputs > 0) == (data.y > 0)))}

    data = Data(DATA.x, (DATA.y > 0).astype("float32"))
    made = Program(build_model, data, loop, epochs=None, samples=40, seed=0)
    assert "metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)]" in made.configuration.code()
