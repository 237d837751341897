"""Small models with their data, to plant faults in, and what is asserted of all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from loopbench.spec import Diagnosis, Evidence, Side
from loopbench_diagnose import Data, steps
from loopbench_diagnose.loops import Loop

# Primes, as the diagnosis takes them: 3 whole batches and one of 13.
SAMPLES = 61
VALIDATION = 23
SIZE = 16
LAST = SAMPLES % SIZE

Problem = tuple[Callable[[], keras.Model], Data]
# (labels, outputs) → what is differentiated.
Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Measured:
    """An evidence whose figures are numbers, NaN where there is none."""

    description: str
    expected: float
    observed: float


def _measured(item: Evidence) -> Measured:
    figures = (float("nan") if value is None else value for value in (item.expected, item.observed))
    return Measured(item.description, *figures)


def only(diagnosis: Diagnosis, reason: str, side: Side | None = None) -> dict[str, Measured]:
    """The evidence of the one cause that there has to be."""
    assert [(cause.reason, cause.side) for cause in diagnosis.causes] == [(reason, side)]
    return evidence_of(diagnosis, reason)


def rounding(diagnosis: Diagnosis, reason: str, side: Side | None = None) -> dict[str, Measured]:
    """The evidence of the one difference within rounding, where there is no cause."""
    assert diagnosis.causes == ()
    assert [(cause.reason, cause.side) for cause in diagnosis.rounding] == [(reason, side)]
    return {item.name: _measured(item) for item in diagnosis.rounding[0].evidence}


def evidence_of(diagnosis: Diagnosis, reason: str) -> dict[str, Measured]:
    (cause,) = [cause for cause in diagnosis.causes if cause.reason == reason]
    return {item.name: _measured(item) for item in cause.evidence}


def reasons(diagnosis: Diagnosis) -> list[str]:
    return [cause.reason for cause in diagnosis.causes]


def sgd(**options: Any) -> Callable[[], keras.optimizers.Optimizer]:
    return lambda: keras.optimizers.SGD(**{"learning_rate": 0.05, **options})


def adam(**options: Any) -> Callable[[], keras.optimizers.Optimizer]:
    return lambda: keras.optimizers.Adam(**{"learning_rate": 0.01, **options})


def step_of(loss: Loss, *, training: bool = True) -> Any:
    """The training step that everyone writes."""

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=training))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    return step


def taped(loss: Loss, *, optimizer: Any = sgd(), training: bool = True, **options: Any) -> Loop:  # noqa: B008
    """A loop around that step."""
    return steps(step_of(loss, training=training), **{"optimizer": optimizer, "batch_size": SIZE, **options})


def squared(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.square(y - outputs))


def log_of_class(y: Any, outputs: Any) -> Any:
    """float[n], for classes and probabilities."""
    return keras.losses.sparse_categorical_crossentropy(y, outputs)


def mean_log(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(log_of_class(y, outputs))


def _normal(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def _linear(x: Any, outputs: int) -> Any:
    """float[n, outputs]: noisy, linear in the inputs."""
    flat = x.reshape(len(x), -1).astype(np.float32)
    generator = np.random.default_rng(6)
    weights = generator.normal(size=(flat.shape[1], outputs)) / flat.shape[1] ** 0.5
    return (flat @ weights + generator.normal(size=(len(x), outputs))).astype(np.float32)


def _split(x: Any, y: Any, *, validation: bool) -> Data:
    """The last ones are for validation, where there is one: it takes its time."""
    data, train = Data(x, y), slice(0, len(x) - VALIDATION)
    return replace(data.rows(train), validation=data.rows(slice(train.stop, None)) if validation else None)


def signals(outputs: int = 3, samples: int = SAMPLES, validation: bool = False, **options: Any) -> Problem:
    """Conv1D to numbers; ``options`` are those of the last layer."""
    x = _normal((samples + VALIDATION, 8, 2))

    def build() -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((8, 2)),
                layers.Conv1D(4, 3, activation="tanh"),
                layers.Flatten(),
                layers.Dense(outputs, **options),
            ]
        )

    return build, _split(x, _linear(x, outputs), validation=validation)


def images(
    *middle: Callable[[], Any], activation: str | None = "softmax", samples: int = SAMPLES, validation: bool = False
) -> Problem:
    """Conv2D to three classes, with ``middle`` layers between."""
    x = _normal((samples + VALIDATION, 6, 6, 1))

    def build() -> keras.Model:
        made = [layer() for layer in middle]
        return keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                layers.Conv2D(3, 3),
                *made,
                layers.ReLU(),
                layers.Flatten(),
                layers.Dense(3, activation=activation),
            ]
        )

    return build, _split(x, _linear(x, 3).argmax(axis=1), validation=validation)


def reviews(activation: str | None = "sigmoid", **options: Any) -> Problem:
    """An embedding, to yes or no; ``options`` are those of the last layer."""
    x = np.random.default_rng(5).integers(0, 12, size=(SAMPLES + VALIDATION, 5)).astype(np.int32)

    def build() -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((5,), dtype="int32"),
                layers.Embedding(12, 6),
                layers.Conv1D(4, 2, activation="relu"),
                layers.GlobalAveragePooling1D(),
                layers.Dense(1, activation=activation, **options),
            ]
        )

    return build, _split(x, (_linear(x - 6, 1) > 0).astype(np.float32), validation=False)


def heads(kind: type = dict) -> Problem:
    """A number and a class."""
    x = _normal((SAMPLES + VALIDATION, 8, 2))

    def build() -> keras.Model:
        inputs = keras.Input((8, 2))
        hidden = layers.Flatten()(layers.Conv1D(4, 3, activation="tanh")(inputs))
        value = layers.Dense(1, name="value")(hidden)
        label = layers.Dense(3, activation="softmax", name="label")(hidden)
        return keras.Model(inputs, {"value": value, "label": label} if kind is dict else [value, label])

    value, label = _linear(x, 1), _linear(x, 3).argmax(axis=1)
    return build, _split(x, {"value": value, "label": label} if kind is dict else [value, label], validation=False)
