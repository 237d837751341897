"""Faults in what is reported: means, metrics and what they are taken over."""

from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose
from loopbench_diagnose.loops import Loop

from .fault_models import (
    LAST,
    SAMPLES,
    SIZE,
    VALIDATION,
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

SPARSE = "sparse_categorical_crossentropy"


def fit(loss: Any = SPARSE, **options: Any) -> Loop:
    return compile_and_fit(**{"optimizer": sgd(), "batch_size": SIZE, "loss": loss, **options})


def looped(report: Any, loss: Any = mean_log) -> Loop:
    """A loop that makes its figures of the last epoch's losses and sizes of batches by ``report``."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, step, losses = sgd()(), step_of(loss), []
        dataset = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data), seed=3).batch(SIZE)
        for _ in range(epochs):
            losses = [(float(step(model, optimizer, x, y, None)), len(x)) for x, y in dataset]
        return report(model, data, *zip(*losses, strict=True))

    return train


def test_an_unweighted_mean_of_batches() -> None:
    build, data = images()
    seen: list[tuple[Any, Any]] = []

    def report(_: Any, __: Any, losses: Any, sizes: Any) -> Any:
        seen.append((losses, sizes))
        return {"loss": np.mean(losses)}

    found = only(diagnose(build, data, fit(), looped(report)), Reason.UNWEIGHTED_MEAN, Side.SECOND)
    ((losses, sizes),) = [(losses, sizes) for losses, sizes in seen if sum(sizes) == SAMPLES][:1]
    assert found["second_loss"].expected == pytest.approx(np.average(losses, weights=sizes), rel=1e-5)
    assert found["second_loss"].observed == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.slow
def test_a_validation_loss_that_is_a_mean_of_batches() -> None:
    build, data = signals(validation=True)

    def report(model: Any, data: Data, *_: Any) -> Any:
        held = data.validation
        assert held is not None
        parts = [slice(0, SIZE), slice(SIZE, None)] if len(held) > SIZE else [slice(None)]
        losses = [squared(held.y[part], model(held.x[part], training=False)) for part in parts]
        return {"val_loss": np.mean(losses)}

    found = only(diagnose(build, data, fit("mse"), looped(report, squared)), Reason.UNWEIGHTED_MEAN, Side.SECOND)
    assert set(found) == {"second_val_loss"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "divided",
    [
        lambda losses, sizes: sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / (SIZE * len(losses)),
        lambda losses, sizes: sum(loss * SIZE for loss in losses) / sum(sizes),
    ],
    ids=["by whole batches", "of whole batches"],
)
def test_a_reported_loss_with_a_fixed_divisor(divided: Any) -> None:
    build, data = images()
    loop = looped(lambda _, __, losses, sizes: {"loss": divided(losses, sizes)})
    found = only(diagnose(build, data, fit(), loop), Reason.FIXED_DIVISOR, Side.SECOND)
    whole = SIZE * (SAMPLES // SIZE + 1) / SAMPLES
    error = found["second_loss"].observed / found["second_loss"].expected
    assert min(abs(error * whole - 1), abs(error / whole - 1)) < 0.05


def _one_hot(data: Data) -> tuple[Any, Any]:
    return data.x, keras.utils.to_categorical(data.y, 3)


def _fit_on_one_hot(model: Any, data: Data, epochs: int) -> Any:
    assert data.validation is not None
    model.compile(optimizer=sgd()(), loss="categorical_crossentropy", metrics=["accuracy"])
    x, y = _one_hot(data)
    return model.fit(x, y, batch_size=SIZE, epochs=epochs, validation_data=_one_hot(data.validation), verbose=0)


@pytest.mark.parametrize(
    "weighted", [pytest.param(True, id="a right mean"), pytest.param(False, id="a mean of batches")]
)
def test_figures_of_labels_that_are_prepared_in_the_loop(weighted: bool) -> None:
    """The data have classes, and fit gets them one-hot."""
    build, data = images(validation=True)

    def report(model: Any, data: Data, losses: Any, sizes: Any) -> Any:
        held = data.validation
        assert held is not None
        parts = [slice(0, SIZE), slice(SIZE, None)] if len(held) > SIZE else [slice(None)]
        held_losses = [log_of_class(held.y[part], model(held.x[part], training=False)) for part in parts]
        held_loss = np.mean(np.concatenate(held_losses)) if weighted else np.mean([np.mean(ls) for ls in held_losses])
        return {"loss": np.average(losses, weights=sizes), "val_loss": held_loss}

    diagnosis = diagnose(build, data, _fit_on_one_hot, looped(report))
    assert diagnosis.not_tested == ()
    assert reasons(diagnosis) == ([] if weighted else [Reason.UNWEIGHTED_MEAN])


class Stepping(keras.Model):  # type: ignore[misc]  # Keras has no types
    """User-written steps that return what they have at hand."""

    more: ClassVar[dict[str, float]] = {"batches": 1.0}

    def __init__(self) -> None:
        super().__init__()
        self.inside = keras.layers.Conv1D(3, 3)
        self.outside = keras.layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.outside(tf.reshape(self.inside(x), (-1, 18)))

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = squared(y, self(x))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss, **self.more}

    def test_step(self, data: Any) -> Any:
        x, y = data
        return {"loss": squared(y, self(x)), **self.more}


@pytest.mark.slow
def test_a_train_step_and_a_test_step_that_return_their_last_batch() -> None:
    _, data = signals(validation=True)
    diagnosis = diagnose(Stepping, data, fit("mse", stock_steps=True), fit("mse"))
    found = only(diagnosis, Reason.LAST_BATCH, Side.SECOND)
    assert set(found) == {"second_loss", "second_val_loss"}
    assert "from train_step and test_step" in diagnosis.causes[0].fix


class OnlyTheLoss(Stepping):
    """Where all that a step returns bears a metric's name, ``fit`` takes the metrics instead."""

    more: ClassVar[dict[str, float]] = {}


def test_a_train_step_that_feeds_no_metric() -> None:
    _, data = signals()
    diagnosis = diagnose(OnlyTheLoss, data, fit("mse", stock_steps=True), fit("mse"))
    found = only(diagnosis, Reason.UNFED_METRIC, Side.SECOND)
    assert found["second_loss"].observed == 0
    assert "feed it in train_step" in diagnosis.causes[0].fix


def test_a_loop_that_returns_the_last_loss() -> None:
    build, data = images()
    seen: list[float] = []

    def report(_: Any, __: Any, losses: Any, sizes: Any) -> Any:
        seen.extend([losses[-1]] if sum(sizes) == SAMPLES else [])
        return {"loss": losses[-1]}

    diagnosis = diagnose(build, data, looped(report), fit())
    found = only(diagnosis, Reason.LAST_BATCH, Side.FIRST)
    assert "in the loop" in diagnosis.causes[0].fix
    assert "train_step" not in diagnosis.causes[0].fix
    assert found["first_loss"].observed == pytest.approx(seen[0], rel=1e-5)


def test_a_loop_over_a_model_with_a_train_step_that_it_does_not_call() -> None:
    _, data = signals()
    last = looped(lambda _, __, losses, ___: {"loss": losses[-1]}, squared)
    diagnosis = diagnose(Stepping, data, last, fit("mse", stock_steps=True))
    only(diagnosis, Reason.LAST_BATCH, Side.FIRST)
    assert "train_step" not in diagnosis.causes[0].fix


def _validated(evaluate: Any) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> Any:
        reported = taped(mean_log)(model, data, epochs)
        held = data.validation
        return reported if held is None else reported | {"val_loss": evaluate(model, held)}

    return train


def test_validation_on_one_batch() -> None:
    build, data = images(validation=True)

    def evaluate(model: Any, held: Data) -> Any:
        x, y = next(iter(tf.data.Dataset.from_tensor_slices((held.x, held.y)).batch(8)))
        return mean_log(y, model(x, training=False))

    found = only(diagnose(build, data, fit(), _validated(evaluate)), Reason.VALIDATION_SAMPLES, Side.SECOND)
    assert (found["validation_samples"].expected, found["validation_samples"].observed) == (VALIDATION, 8)


@pytest.mark.slow
def test_validation_steps() -> None:
    build, data = images(validation=True)
    some = fit(fit_options={"validation_steps": 1, "validation_batch_size": 8})
    found = only(diagnose(build, data, some, fit()), Reason.VALIDATION_SAMPLES, Side.FIRST)
    assert found["validation_samples"].observed == 8


def test_training_figures_that_are_taken_afterwards() -> None:
    build, data = images()

    def report(model: Any, data: Data, *_: Any) -> Any:
        losses = log_of_class(data.y, model(data.x, training=False))
        hits = np.argmax(model(data.x, training=False), axis=1) == data.y
        return {"loss": np.mean(losses), "accuracy": np.mean(hits)}

    diagnosis = diagnose(build, data, fit(metrics=["accuracy"]), looped(report))
    found = only(diagnosis, Reason.RUNNING_FIGURE)
    assert found["second_loss"].observed == pytest.approx(found["second_loss"].expected, rel=1e-5)
    assert found["first_loss"].observed > found["first_loss"].expected


def _validated_before_each_epoch(model: Any, data: Data, epochs: int) -> Any:
    optimizer, step, held = sgd()(), step_of(squared), data.validation
    assert held is not None
    dataset = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data), seed=3).batch(SIZE)
    figures = {}
    for _ in range(epochs):
        errors = held.y - model(held.x, training=False)
        figures = {"val_loss": np.mean(np.square(errors)), "val_mae": np.mean(np.abs(errors))}
        for x, y in dataset:
            step(model, optimizer, x, y, None)
    return figures


def test_a_validation_before_the_updates_of_its_epoch() -> None:
    build, data = signals(validation=True)
    diagnosis = diagnose(build, data, fit("mse", metrics=["mae"]), _validated_before_each_epoch)
    found = only(diagnosis, Reason.RUNNING_FIGURE, Side.SECOND)
    steps = SAMPLES // SIZE + 1
    moment = found["steps_before_validation"]
    assert (moment.expected, moment.observed) == (2 * steps, steps)
    assert found["second_val_loss"].observed > found["second_val_loss"].expected
    assert "second_val_mae" in found
    assert "on the final weights" in found["second_val_loss"].description


@pytest.mark.slow
def test_every_fault_of_figures_at_once() -> None:
    build, data = images(validation=True)

    def report(model: Any, data: Data, losses: Any, _: Any) -> Any:
        held = data.validation
        assert held is not None
        return {"loss": losses[-1], "val_loss": mean_log(held.y[:8], model(held.x[:8], training=False))}

    assert set(reasons(diagnose(build, data, fit(), looped(report)))) == {Reason.LAST_BATCH, Reason.VALIDATION_SAMPLES}
    assert LAST != SIZE
