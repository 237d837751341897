"""Faults of metrics: "accuracy" that is something else."""

from typing import Any

import keras
import pytest
import tensorflow as tf

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose, steps
from loopbench_diagnose.loops import Loop

from .fault_models import SAMPLES, SIZE, images, mean_log, only, reviews, sgd


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
