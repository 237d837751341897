"""One program: its configuration as code, its task, its words and its limits."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose import compile_and_fit
from loopbench_diagnose.program.limits import Limit, limited
from loopbench_diagnose.program.recovery import Configuration, code_of
from loopbench_diagnose.program.tasks import Kind, recognize
from loopbench_diagnose.program.training import orders
from loopbench_diagnose.program.wording import said

DECAY = "keras.optimizers.schedules.ExponentialDecay(initial_learning_rate=0.1, decay_steps=10, decay_rate=0.5)"
RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(40, 3)).astype("float32")


def build_model() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


class Warmup(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras has no types
    """A schedule as people write it, without a configuration."""

    def __init__(self, size: int, steps: int = 40) -> None:
        self.size, self.steps = size, steps

    def __call__(self, step: Any) -> Any:
        return keras.ops.cast(step, "float32") / (self.size * self.steps)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("mse", "'mse'"),
        (keras.losses.BinaryCrossentropy(from_logits=True), "keras.losses.BinaryCrossentropy(from_logits=True)"),
        (keras.optimizers.Adam(0.01, clipnorm=1.0), "keras.optimizers.Adam(learning_rate=0.01, clipnorm=1.0)"),
        (
            keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
            f"keras.optimizers.SGD(learning_rate={DECAY})",
        ),
        (["accuracy", keras.metrics.AUC(num_thresholds=5)], "['accuracy', keras.metrics.AUC(num_thresholds=5)]"),
        ({"head": "mse"}, "{'head': 'mse'}"),
        (keras.optimizers.SGD(Warmup(4)), "keras.optimizers.SGD(learning_rate=Warmup(size=4))"),
        ([np.float32(0.5), np.int64(2)], "[0.5, 2]"),
    ],
)
def test_options_are_python(value: Any, code: str) -> None:
    assert code_of(value) == code


def test_class_weights_of_numpy_are_plain_numbers() -> None:
    weights: dict[Any, Any] = {np.int64(0): np.float64(1 / 3), 1: np.float32(1.6)}
    made = Configuration("mse", keras.optimizers.SGD(), batch_size=8, epochs=2, class_weight=weights)
    assert made.code().endswith("class_weight={0: 0.3333333, 1: 1.6})\n")


def test_the_code_of_a_configuration_trains_like_it() -> None:
    configuration = Configuration(
        loss=keras.losses.Huber(delta=0.5), optimizer=keras.optimizers.SGD(0.1), batch_size=8, epochs=3, shuffle=False
    )
    y = X.sum(axis=1, keepdims=True)
    first, second = build_model(), build_model()
    second.set_weights(first.get_weights())
    exec(configuration.code(), {"keras": keras, "model": first, "x": X, "y": y})  # noqa: S102  the code is the answer
    configuration.loop()(second, (X, y), 3)
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("labels", "shape", "kind", "chance"),
    [
        (np.array([0, 1, 1, 1]), (4, 1), Kind.BINARY, 0.75),
        (np.array([-1.0, 1, 1, 1]), (4, 1), Kind.PLUS_MINUS, 0.75),
        (np.array([0, 1, 2, 2]), (4, 3), Kind.CLASSES, 0.5),
        (np.eye(3)[[0, 1, 2, 2]], (4, 3), Kind.ONE_HOT, 0.5),
        (np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]]), (4, 3), Kind.MULTI_LABEL, (0.75 + 0.75 + 1) / 3),
        (np.array([0.5, 1, 2, 3]), (4, 1), Kind.NUMBERS, 0.0),
        (np.array([[1, 0, 2], [2, 2, 2]]), (2, 3, 5), Kind.CLASSES, 4 / 6),
        # As many steps as classes.
        (np.array([[1, 0, 2, 1, 0], [2, 4, 3, 2, 2]]), (2, 5, 5), Kind.CLASSES, 4 / 10),
        (np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]]), (4, 2), Kind.ONE_HOT, 0.75),
        (X, (40, 3), Kind.RECONSTRUCTION, 0.0),
        (None, (4, 1), Kind.NONE, 0.0),
    ],
)
def test_a_task_is_recognized_by_its_labels(labels: Any, shape: Any, kind: Kind, chance: float) -> None:
    task = recognize(labels, X, shape)
    assert task.kind is kind
    assert task.chance == pytest.approx(chance)


def test_scores_are_accuracy_and_explained_variance() -> None:
    binary = recognize(np.array([0, 1, 1, 1]), X, (4, 1))
    assert binary.score([0, 1, 1, 1], [[0.4], [0.6], [0.2], [0.9]]) == 0.75
    # Of logits the threshold is 0.
    assert binary.score([0, 1, 1, 1], [[-1], [0.2], [0.3], [0.1]], logits=True) == 1.0
    numbers = recognize(np.array([0.5, 1, 2, 2.5]), X, (4, 1))
    # The mean is 1.5 and the sum of squares around it 2.5; one error of 1/2 squared is 0.25.
    assert numbers.score([0.5, 1, 2, 2.5], [[0.5], [1], [2], [2]]) == pytest.approx(1 - 0.25 / 2.5)
    assert numbers.score([0.5, 1, 2, 2.5], [[np.nan], [1], [2], [2]]) == -1.0


def test_orders_are_epochs_with_a_smaller_last_batch() -> None:
    made = orders(7, 3, 5, shuffle=True, seed=0)
    assert [len(batch) for batch in made] == [3, 3, 1, 3, 3]
    assert sorted(np.concatenate(made[:3])) == list(range(7))
    assert np.array_equal(np.concatenate(orders(7, 3, 3, shuffle=False, seed=0)), np.arange(7))


def tape_loop(model: keras.Model, data: Any, epochs: int) -> None:
    optimizer = keras.optimizers.SGD(0.1)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(x: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    for _ in range(epochs):
        for start in range(0, len(data), 8):
            step(data[start : start + 8])


@pytest.mark.parametrize("loop", [tape_loop, lambda *given: compile_and_fit(loss="mse")(given[0], (X, X[:, 0]), 9)])
def test_a_limit_of_updates_is_met_exactly(loop: Any) -> None:
    limit, model = Limit(updates=7), build_model()
    with limited(limit):
        loop(model, X, 9)
    assert (limit.reached, limit.updates) == (True, 7)


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    limit, model = Limit(updates=100), build_model()
    with limited(limit):
        tape_loop(model, X, 2)
    assert (limit.reached, limit.updates) == (False, 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The second loss is 32 times the first", "The loop's loss is 32 times that of stock training"),
        ("The first side is shuffled, the second is not", "Stock training is shuffled, the loop is not"),
        ("Equal weights on both sides.", "Equal weights in the loop as in stock training."),
        ("First gradient, second over first.", "First gradient, the loop over stock training."),
        ("The second side's rate", "The loop's rate"),
        ("It is of labels: first of y, second of log(y).", "It is of labels: stock training of y, the loop of log(y)."),
        ("It holds 2 on the first side, 3 on the second.", "It holds 2 on stock training, 3 on the loop."),
    ],
)
def test_texts_speak_of_the_loop(text: str, words: str) -> None:
    assert said(text) == words
