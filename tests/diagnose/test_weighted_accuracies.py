"""Accuracies in which samples count by their weights: sound ones, faults beside them, and faults of them."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import SAMPLES, SIZE, Problem, images, mean_log, only, reasons, reviews, sgd

CLASSES = {0: 0.5, 1: 3.0}


def _weighted(*, by_class: bool = False, logits: bool = True) -> Problem:
    build, data = reviews(activation=None if logits else "sigmoid")
    if by_class:
        return build, replace(data, class_weight=CLASSES)
    return build, replace(data, sample_weight=np.where(data.y[:, 0] > 0, 3.0, 0.5).astype(np.float32))


def fit(*, logits: bool = True, **options: Any) -> Loop:
    metric = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0 if logits else 0.5)
    loss = keras.losses.BinaryCrossentropy(from_logits=logits)
    given = {"optimizer": sgd(), "batch_size": SIZE, "loss": loss, "weighted_metrics": [metric], "shuffle": False}
    return compile_and_fit(**(given | options))


def by_hand(*, weighs_loss: bool = True, weighs_accuracy: bool = True, logits: bool = True) -> Loop:
    """A loop in NumPy's arithmetic, which feeds no metric."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, loss_of = sgd()(), keras.losses.BinaryCrossentropy(from_logits=logits)
        weights = data.sample_weight
        if data.class_weight is not None:
            weights = np.where(data.y[:, 0] > 0, data.class_weight[1], data.class_weight[0])
        hits = total = 0.0
        for _ in range(epochs):
            hits = total = 0.0
            for x, y, w in tf.data.Dataset.from_tensor_slices((data.x, data.y, weights)).batch(SIZE):
                with tf.GradientTape() as tape:
                    outputs = model(x, training=True)
                    loss = loss_of(y, outputs, w if weighs_loss else None)
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                counts = w.numpy() if weighs_accuracy else np.ones(len(w))
                right = (outputs.numpy() > (0.0 if logits else 0.5)) == (y.numpy() > 0)
                hits, total = hits + float(counts @ right[:, 0]), total + float(counts.sum())
        return {"accuracy": hits / total}

    return train


@pytest.mark.parametrize(
    ("by_class", "logits"),
    [(False, True), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((False, False), (True, True)))],
)
def test_weighted_accuracies_on_both_sides_agree(*, by_class: bool, logits: bool) -> None:
    build, data = _weighted(by_class=by_class, logits=logits)
    assert reasons(diagnose(build, data, fit(logits=logits), by_hand(logits=logits))) == []


@pytest.mark.slow
def test_a_weighted_accuracy_beside_a_loss_without_weights() -> None:
    build, data = _weighted()
    diagnosis = diagnose(build, data, fit(), by_hand(weighs_loss=False, weighs_accuracy=False))
    only(diagnosis, Reason.SAMPLE_WEIGHTS, Side.SECOND)


@pytest.mark.parametrize("by_class", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_accuracy_that_leaves_the_weights_out(*, by_class: bool) -> None:
    build, data = _weighted(by_class=by_class)
    diagnosis = diagnose(build, data, fit(), by_hand(weighs_accuracy=False))
    only(diagnosis, Reason.METRIC)
    assert "weighted" in diagnosis.causes[0].title


@pytest.mark.slow
@pytest.mark.parametrize("logits", [True, False])
def test_weights_that_only_the_metric_knows(*, logits: bool) -> None:
    """A mask of the loop's own: nothing counts it again, but the metric is of the right class."""
    build, data = reviews(activation=None if logits else "sigmoid")
    loss = keras.losses.BinaryCrossentropy(from_logits=logits)

    def masked(model: Any, data: Data, epochs: int) -> Any:
        metric = keras.metrics.BinaryAccuracy(threshold=0.0 if logits else 0.5)

        def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
            with tf.GradientTape() as tape:
                outputs = model(x, training=True)
                value = loss(y, outputs)
            optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
            metric.update_state(y, outputs, tf.cast(x[:, 0] > 5, tf.float32))

        steps(step, optimizer=sgd(), batch_size=SIZE, shuffle=False)(model, data, epochs)
        return {"accuracy": float(metric.result())}

    plain = fit(logits=logits, weighted_metrics=None)
    assert reasons(diagnose(build, data, plain, masked)) == []


def test_a_wrong_class_that_is_fed_with_weights() -> None:
    build, data = images()

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = mean_log(y, outputs)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        wrong = keras.metrics.CategoricalAccuracy()
        wrong.update_state(y, tf.argmax(outputs, axis=1), 1.0)
        return {"accuracy": wrong.result()}

    second = steps(step, optimizer=sgd(), batch_size=SIZE)
    right = compile_and_fit(
        optimizer=sgd(), batch_size=SIZE, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    found = only(diagnose(build, data, right, second), Reason.ACCURACY_METRIC, Side.SECOND)
    counted = found["metric/CategoricalAccuracy"]
    assert (counted.expected, counted.observed) == (2 * SAMPLES, 2 * 4)
