"""Loops as people write them: they fail on few samples, freeze layers, update twice, or keep objects outside."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason
from loopbench_diagnose import Data, NoUpdateError, ReusedObjectError, diagnose
from loopbench_diagnose.loops import Loop

from .fault_models import SIZE, images, log_of_class, mean_log, reasons, sgd, signals, squared, taped
from .replayed_loops import gradients_of


def _whole_batches(*, mean: bool, training: bool = True) -> Loop:
    """Drops the remainder, and reports a mean, or the last loss, that no batch at all leaves undefined."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer = sgd()()
        for _ in range(epochs):
            total, count = 0.0, len(data) // (2 * SIZE)
            for number in range(count):
                rows = slice(2 * SIZE * number, 2 * SIZE * (number + 1))
                with tf.GradientTape() as tape:
                    loss = mean_log(data.y[rows], model(data.x[rows], training=training))
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                total += float(loss)
        return {"loss": total / count if mean else float(loss)}

    return train


@pytest.mark.parametrize("mean", [True, False], ids=["ZeroDivisionError", "UnboundLocalError"])
def test_a_loop_that_fails_without_a_whole_batch(mean: bool) -> None:
    build, data = images(lambda: layers.Dropout(0.4), samples=101)
    sound, faulty = _whole_batches(mean=mean), _whole_batches(mean=mean, training=False)
    assert reasons(diagnose(build, data, sound, sound)) == []
    assert reasons(diagnose(build, data, sound, faulty)) == [Reason.TRAINING_FLAG]


def _scaling(scale: Callable[[Any], Any], labels: Callable[[Any], Any] = lambda y: y) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> Any:
        taped(mean_log)(model, Data(scale(data.x), labels(data.y)), epochs)
        held = data.validation
        assert held is not None
        return {"val_loss": float(mean_log(held.y, model(scale(held.x), training=False)))}

    return train


def test_scaling_that_rounds_otherwise_is_no_difference() -> None:
    build, data = images(validation=True)
    third = np.float32(1 / 3)
    divided, multiplied = _scaling(lambda x: (x - 1) / 3), _scaling(lambda x: x * third - third)
    assert reasons(diagnose(build, data, divided, multiplied)) == []


def test_labels_of_samples_that_both_sides_scale() -> None:
    build, data = images(validation=True)
    sound, renumbered = (_scaling(lambda x: x / 3, labels) for labels in (lambda y: y, lambda y: (y + 1) % 3))
    assert reasons(diagnose(build, data, sound, renumbered)) == [Reason.LABELS]


def _needs_all_classes(*, training: bool) -> Loop:
    """Weighs the classes by the labels that it is given, and fails where they are all the same."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        _, counts = np.unique(data.y, return_counts=True)
        known = tf.constant([len(data) / (3 * counts[label]) for label in range(3)], tf.float32)

        def loss(y: Any, outputs: Any) -> Any:
            return tf.reduce_mean(log_of_class(y, outputs) * tf.gather(known, y))

        return taped(loss, training=training)(model, data, epochs)

    return train


def test_an_experiment_in_which_a_loop_fails_hides_no_other() -> None:
    build, data = images(lambda: layers.Dropout(0.4))
    diagnosis = diagnose(build, data, _needs_all_classes(training=True), _needs_all_classes(training=False))
    assert reasons(diagnosis) == [Reason.TRAINING_FLAG]
    (stated,) = diagnosis.not_tested
    assert stated.startswith("one label for all samples: not tested because IndexError was raised")


@pytest.mark.slow
@pytest.mark.parametrize("mean", [True, False], ids=["ZeroDivisionError", "UnboundLocalError"])
def test_a_loop_of_smaller_batches_beside_it(mean: bool) -> None:
    build, data = images(samples=101)
    found = set(reasons(diagnose(build, data, taped(mean_log), _whole_batches(mean=mean))))
    assert found == {Reason.UPDATES, Reason.SHUFFLE, *(() if mean else (Reason.LAST_BATCH,))}


def _freezing(places: tuple[int, ...]) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> None:
        for place in places:
            model.layers[place].trainable = False
        taped(squared)(model, data, epochs)

    return train


def test_layers_that_a_loop_freezes() -> None:
    build, data = signals()
    assert reasons(diagnose(build, data, _freezing((0,)), _freezing((0,)))) == []
    assert reasons(diagnose(build, data, _freezing(()), _freezing((0,)))) == [Reason.VARIABLES_LEFT_OUT]


def _repeating(count: int) -> Loop:
    """Takes ``count`` updates of every batch."""

    def train(model: Any, data: Data, epochs: int) -> None:
        optimizer = sgd()()
        for _ in range(epochs):
            for start in range(0, len(data), SIZE):
                rows = slice(start, start + SIZE)
                for _ in range(count):
                    _, gradients = gradients_of(squared, model, data.x[rows], data.y[rows])
                    optimizer.apply(gradients, model.trainable_variables)

    return train


def test_several_updates_of_a_batch() -> None:
    build, data = signals()
    assert reasons(diagnose(build, data, _repeating(3), _repeating(3))) == []
    assert Reason.UPDATES in reasons(diagnose(build, data, _repeating(1), _repeating(2)))


def _two_optimizers(rate: float) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> None:
        pairs = ((sgd()(), slice(0, 2)), (sgd(learning_rate=rate)(), slice(2, None)))
        for _ in range(epochs):
            for start in range(0, len(data), SIZE):
                rows = slice(start, start + SIZE)
                _, gradients = gradients_of(squared, model, data.x[rows], data.y[rows])
                for optimizer, part in pairs:
                    optimizer.apply(gradients[part], model.trainable_variables[part])

    return train


def test_an_optimizer_for_each_part_of_a_model() -> None:
    build, data = signals()
    assert reasons(diagnose(build, data, _two_optimizers(0.05), _two_optimizers(0.05))) == []
    assert reasons(diagnose(build, data, _two_optimizers(0.05), _two_optimizers(0.5))) == [Reason.LEARNING_RATE]


def test_a_fixed_batch_size() -> None:
    _, data = signals()

    def build() -> keras.Model:
        return keras.Sequential([keras.Input(batch_shape=(10, 8, 2)), layers.GRU(4), layers.Dense(3)])

    def by_hand(scale: float) -> Loop:
        def train(model: Any, data: Data, epochs: int) -> None:
            optimizer = sgd()()
            for _ in range(epochs):
                for start in range(0, len(data) // 10 * 10, 10):
                    rows = slice(start, start + 10)
                    with tf.GradientTape() as tape:
                        loss = scale * squared(data.y[rows], model(data.x[rows], training=True))
                    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

        return train

    assert reasons(diagnose(build, data, by_hand(1), by_hand(1))) == []
    assert reasons(diagnose(build, data, by_hand(1), by_hand(3))) == [Reason.LOSS_REDUCTION]


def _with(optimizer: Any, step: Any = None) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> None:
        for _ in range(epochs):
            for start in range(0, len(data), SIZE):
                rows = slice(start, start + SIZE)
                if step is not None:
                    step(model, data.x[rows], data.y[rows])
                    continue
                _, gradients = gradients_of(squared, model, data.x[rows], data.y[rows])
                optimizer.apply(gradients, model.trainable_variables)

    return train


def _used_optimizer() -> Loop:
    """One that an earlier training has built."""
    build, data = signals()
    optimizer = sgd(momentum=0.9)()
    _with(optimizer)(build(), data, 1)
    return _with(optimizer)


def _used_model() -> Loop:
    build, _ = signals()
    mine = build()

    def train(model: Any, data: Data, epochs: int) -> None:  # noqa: ARG001
        taped(squared)(mine, data, epochs)

    return train


OUTSIDE: dict[str, tuple[Callable[[], Loop], type[ValueError], str]] = {
    "optimizer": (_used_optimizer, ReusedObjectError, "the second loop uses an optimizer"),
    "model": (_used_model, NoUpdateError, "the second loop trains another model"),
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_an_object_from_outside_of_the_loop_is_named_in_one_sentence(kind: str) -> None:
    make, error, words = OUTSIDE[kind]
    build, data = signals()
    with pytest.raises(error, match=words) as caught:
        diagnose(build, data, taped(squared), make())
    assert "\n" not in str(caught.value)


def _makes_its_optimizer() -> Loop:
    @tf.function  # type: ignore[untyped-decorator]
    def step(model: Any, x: Any, y: Any) -> None:
        optimizer = sgd(momentum=0.9)()
        _, gradients = gradients_of(squared, model, x, y)
        optimizer.apply(gradients, model.trainable_variables)

    return _with(None, step)


def _keeps_its_model() -> Loop:
    kept: dict[str, Any] = {}

    @tf.function  # type: ignore[untyped-decorator]
    def step(x: Any, y: Any) -> None:
        _, gradients = gradients_of(squared, kept["model"], x, y)
        kept["optimizer"].apply(gradients, kept["model"].trainable_variables)

    def train(model: Any, data: Data, epochs: int) -> None:
        kept.update(model=model, optimizer=sgd()())
        kept["optimizer"].build(model.trainable_variables)
        _with(None, lambda _, x, y: step(x, y))(model, data, epochs)

    return train


@pytest.mark.parametrize("make", [_makes_its_optimizer, _keeps_its_model])
def test_a_function_from_outside_of_the_loop_is_named_in_one_sentence(make: Callable[[], Loop]) -> None:
    """Eagerly, as in the replay, it works; in a graph it keeps the variables of an earlier model."""
    build, data = signals()
    loop = make()
    diagnosis = diagnose(build, data, loop, loop)
    assert diagnosis.causes == ()
    (stated,) = diagnosis.not_tested
    assert "loop uses a tf.function from outside of the loop" in stated
    assert "\n" not in stated
