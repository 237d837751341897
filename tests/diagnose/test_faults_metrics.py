"""Faults of metrics: "accuracy" that is something else."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import SAMPLES, SIZE, VALIDATION, images, log_of_class, mean_log, only, reviews, sgd
from .replayed_loops import scored


def fit(loss: Any = "sparse_categorical_crossentropy", **options: Any) -> Loop:
    return compile_and_fit(**{"optimizer": sgd(), "batch_size": SIZE, "loss": loss, **options})


def _metered(metric: Any, feed: Any = None, unit: float = 1.0, rate: float = 0.05) -> Loop:
    """Steps that feed a metric, the result of which is reported; nothing is fed without ``feed``."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        made, optimizer = metric(), sgd(learning_rate=rate)()
        dataset = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data), seed=3).batch(SIZE)
        for _ in range(epochs):
            made.reset_state()
            for x, y in dataset:
                with tf.GradientTape() as tape:
                    outputs = model(x, training=True)
                    loss = mean_log(y, outputs)
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                if feed is not None:
                    made.update_state(*feed(y, outputs))
        return {"accuracy": unit * made.result()}

    return train


def _as_they_are(y: Any, outputs: Any) -> Any:
    return y, outputs


def test_categorical_accuracy_of_labels_and_predicted_classes() -> None:
    build, data = images()
    wrong = _metered(keras.metrics.CategoricalAccuracy, lambda y, outputs: (y, tf.argmax(outputs, axis=1)))
    found = only(diagnose(build, data, fit(metrics=["accuracy"]), wrong), Reason.ACCURACY_METRIC, Side.SECOND)
    counted = found["metric/CategoricalAccuracy"]
    # One value a batch of 16, 16, 16 and 13, in each of two epochs.
    assert (counted.expected, counted.observed) == (2 * SAMPLES, 2 * 4)


@pytest.mark.slow
def test_accuracy_that_compares_probabilities_with_classes() -> None:
    build, data = images()
    wrong = _metered(keras.metrics.Accuracy, lambda y, outputs: (y[:, None], outputs))
    right = _metered(keras.metrics.SparseCategoricalAccuracy, lambda y, outputs: (y, outputs))
    diagnosis = diagnose(build, data, right, wrong)
    only(diagnosis, Reason.ACCURACY_METRIC, Side.SECOND)


@pytest.mark.slow
def test_binary_accuracy_of_outputs_without_a_sigmoid() -> None:
    """Compile's "accuracy" is BinaryAccuracy, and takes 0.5 for the threshold of whatever it is given."""
    # All outputs stay between 0 and 0.5: all of them mean yes, and none of them is above the threshold.
    build, data = reviews(activation=None, bias_initializer=keras.initializers.Constant(0.25))

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=outputs))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return {"accuracy": tf.reduce_mean(tf.cast((outputs > 0) == (y > 0), tf.float32))}

    guessing = fit(keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    diagnosis = diagnose(build, data, guessing, steps(step, optimizer=sgd(), batch_size=SIZE))
    found = only(diagnosis, Reason.ACCURACY_METRIC, Side.FIRST)
    yes = float(data.y.mean())
    assert found["first_accuracy"].expected == pytest.approx(yes, rel=1e-6)
    assert found["first_accuracy"].observed == pytest.approx(1 - yes, rel=1e-6)


@pytest.mark.parametrize("metric", [keras.metrics.SparseCategoricalAccuracy, keras.metrics.Mean])
def test_an_accuracy_that_nothing_feeds(metric: Any) -> None:
    build, data = images()
    only(diagnose(build, data, fit(metrics=["accuracy"]), _metered(metric)), Reason.UNFED_METRIC, Side.SECOND)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_an_accuracy_in_percent(rate: float) -> None:
    """Beside another cause as well, where the weights differ."""
    build, data = images()
    percent = _metered(keras.metrics.SparseCategoricalAccuracy, _as_they_are, unit=100, rate=rate)
    found = {cause.reason for cause in diagnose(build, data, fit(metrics=["accuracy"]), percent).causes}
    assert found == {Reason.SCALED_FIGURE, *((Reason.LEARNING_RATE,) if rate != 0.05 else ())}


# What a step is called with, and what it means over the samples.
FIGURES = {"loss": keras.metrics.Mean, "accuracy": keras.metrics.SparseCategoricalAccuracy}


def _reporting(reset: Any, seen: list[Any] | None = None) -> Loop:
    """Steps that feed metrics for both sets, and reset those named by ``reset`` at the start of every epoch.

    ``seen`` receives losses and hits of all samples of both sets, epoch by epoch.
    """

    def train(model: Any, data: Data, epochs: int) -> Any:
        assert data.validation is not None
        optimizer, notes = sgd()(), []
        dataset = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data), seed=3).batch(SIZE)
        made = {f"{part}{name}": kind() for part in ("", "val_") for name, kind in FIGURES.items()}
        for _ in range(epochs):
            for name in reset:
                made[name].reset_state()
            noted: dict[str, list[Any]] = {name: [] for name in made}

            def feed(part: str, y: Any, outputs: Any, noted: Any = noted) -> Any:
                losses = log_of_class(y, outputs)
                made[f"{part}loss"].update_state(losses)
                made[f"{part}accuracy"].update_state(y, outputs)
                noted[f"{part}loss"].extend(losses.numpy())
                noted[f"{part}accuracy"].extend(np.argmax(outputs, axis=1) == np.asarray(y))
                return losses

            for x, y in dataset:
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(feed("", y, model(x, training=True)))
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            feed("val_", data.validation.y, model(data.validation.x, training=False))
            notes.append(noted)
        if seen is not None:
            seen.append(notes)
        return {name: float(metric.result()) for name, metric in made.items()}

    return train


def _replayed(seen: list[Any]) -> Any:
    """The notes of the replay: two epochs over all samples."""
    whole = [notes for notes in seen if len(notes) == 2 and len(notes[0]["loss"]) == SAMPLES]
    return next(notes for notes in whole if len(notes[0]["val_loss"]) == VALIDATION)


@pytest.mark.parametrize(
    "unreset",
    [
        pytest.param(["loss", "accuracy", "val_loss", "val_accuracy"], id="all of them"),
        pytest.param(["accuracy"], id="accuracy", marks=pytest.mark.slow),
        pytest.param(["val_loss", "val_accuracy"], id="of the validation", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(fit(metrics=["accuracy"]), id="fit"),
        pytest.param(_reporting([f"{part}{name}" for part in ("", "val_") for name in FIGURES]), id="loop"),
    ],
)
def test_metrics_that_are_never_reset(first: Loop, unreset: list[str]) -> None:
    build, data = images(validation=True)
    seen: list[Any] = []
    kept = [f"{part}{name}" for part in ("", "val_") for name in FIGURES if f"{part}{name}" not in unreset]
    found = only(diagnose(build, data, first, _reporting(kept, seen)), Reason.METRIC, Side.SECOND)
    assert set(found) == {f"second_{name}" for name in unreset}
    notes = _replayed(seen)
    for name in unreset:
        both = [value for noted in notes for value in noted[name]]
        assert found[f"second_{name}"].observed == pytest.approx(np.mean(both), rel=1e-4)
        assert found[f"second_{name}"].expected == pytest.approx(np.mean(notes[-1][name]), rel=1e-4)


@pytest.mark.slow
def test_a_precision_that_is_never_reset() -> None:
    build, data = reviews()
    found = diagnose(build, data, scored(), scored(reset=False))
    only(found, Reason.METRIC, Side.SECOND)
    assert "never reset" in found.causes[0].title
