"""Small models with their data and losses, for pairs of loops that are both right."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from loopbench_diagnose import Data

SAMPLES = 43
VALIDATION = 23

# (y, outputs) → float[n], the loss of every sample, written out by hand.
PerSample = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Problem:
    """A model with its data; ``compiled`` is what ``compile`` is given and ``per_sample`` the same by hand.

    ``accuracy`` says which samples are put into their class, bool[n]; ``float16`` that the loss has to be scaled.
    """

    build: Callable[[], keras.Model]
    data: Data
    compiled: dict[str, Any]
    per_sample: PerSample
    accuracy: PerSample | None = None
    float16: bool = False
    metrics: Any = field(default=None)


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def make_data(x: Callable[[int], Any], y: Callable[[Any], Any]) -> Data:
    train, validation = x(SAMPLES), x(VALIDATION)
    return Data(train, y(train), validation=Data(validation, y(validation)))


def vectors(size: int = 6) -> Callable[[int], Any]:
    generator = _rng()
    return lambda count: generator.normal(size=(count, size)).astype(np.float32)


def images(scale: float = 1.0) -> Callable[[int], Any]:
    generator = _rng()
    return lambda count: generator.normal(scale=scale, size=(count, 6, 6, 1)).astype(np.float32)


def series() -> Callable[[int], Any]:
    generator = _rng()
    return lambda count: generator.normal(size=(count, 5, 3)).astype(np.float32)


def tokens() -> Callable[[int], Any]:
    generator = _rng()
    return lambda count: generator.integers(0, 12, size=(count, 5)).astype(np.int32)


def bits() -> Callable[[int], Any]:
    """So few values that many samples are the same."""
    generator = _rng()
    return lambda count: generator.integers(0, 2, size=(count, 3)).astype(np.float32)


def pairs() -> Callable[[int], Any]:
    make = vectors()
    return lambda count: {"left": make(count), "right": make(count)}


def _flat(x: Any) -> Any:
    return x.reshape(len(x), -1).astype(np.float32)


def targets(outputs: int = 1) -> Callable[[Any], Any]:
    """Noisy, linear in the inputs: float[n, outputs]."""

    def make(x: Any) -> Any:
        values = _flat(x)
        weights = np.random.default_rng(11).normal(size=(values.shape[1], outputs)) / values.shape[1] ** 0.5
        return (values @ weights + np.random.default_rng(12).normal(size=(len(x), outputs))).astype(np.float32)

    return make


def classes(x: Any) -> Any:
    return targets(3)(x).argmax(axis=1).astype(np.int64)


def one_hot(x: Any) -> Any:
    return np.eye(3, dtype=np.float32)[classes(x)]


def binary(x: Any) -> Any:
    return (targets(1)(x) > 0).astype(np.float32)


def squares(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.cast(y, tf.float32) - tf.cast(outputs, tf.float32)), axis=-1)


def log_of_class(y: Any, outputs: Any) -> Any:
    return -tf.math.log(tf.gather(tf.clip_by_value(outputs, 1e-7, 1 - 1e-7), tf.cast(y, tf.int32), batch_dims=1))


def softmax(y: Any, outputs: Any) -> Any:
    return tf.nn.softmax_cross_entropy_with_logits(y, outputs)


def odds(y: Any, outputs: Any) -> Any:
    inside = tf.clip_by_value(outputs, 1e-7, 1 - 1e-7)
    return -tf.reduce_mean(y * tf.math.log(inside) + (1 - y) * tf.math.log(1 - inside), axis=-1)


def hit_class(y: Any, outputs: Any) -> Any:
    return tf.argmax(outputs, axis=-1) == tf.cast(y, tf.int64)


def hit_one_hot(y: Any, outputs: Any) -> Any:
    return tf.argmax(outputs, axis=-1) == tf.argmax(y, axis=-1)


def hit_binary(y: Any, outputs: Any) -> Any:
    return (outputs[:, 0] > 0.5) == (y[:, 0] > 0.5)


def stacked(shape: tuple[int, ...], *parts: Callable[[], Any]) -> Callable[[], keras.Model]:
    """A factory of sequential models."""
    return lambda: keras.Sequential([keras.Input(shape), *(part() for part in parts)])


def part(kind: Any, *args: Any, **options: Any) -> Callable[[], Any]:
    """A factory of layers."""
    return lambda: kind(*args, **options)


class Subclassed(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Layers in attributes, and a user-written call."""

    def __init__(self, *, penalty: float = 0.0) -> None:
        super().__init__()
        self.inside, self.drop = layers.Dense(8, activation="tanh"), layers.Dropout(0.3)
        self.outside, self.penalty = layers.Dense(1), penalty

    def call(self, x: Any, training: bool = False) -> Any:
        hidden = self.drop(self.inside(x), training=training)
        if self.penalty:
            self.add_loss(self.penalty * tf.reduce_mean(tf.square(hidden)))
        return self.outside(hidden)


def two_heads(kind: type) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        inputs = keras.Input((6,))
        hidden = layers.Dense(8, activation="relu")(inputs)
        value = layers.Dense(1, name="value")(hidden)
        label = layers.Dense(3, activation="softmax", name="label")(hidden)
        return keras.Model(inputs, {"value": value, "label": label} if kind is dict else [value, label])

    return build


def two_dict(y: Any, outputs: Any) -> Any:
    return 0.5 * squares(y["value"], outputs["value"]) + 2.0 * log_of_class(y["label"], outputs["label"])


def two_list(y: Any, outputs: Any) -> Any:
    return 0.5 * squares(y[0], outputs[0]) + 2.0 * log_of_class(y[1], outputs[1])


def frozen() -> keras.Model:
    model = stacked((6,), part(layers.Dense, 8), part(layers.BatchNormalization), part(layers.Dense, 1))()
    for layer in model.layers[:2]:
        layer.trainable = False
    return model


def dead() -> keras.Model:
    bias = keras.initializers.Constant(-50.0)
    inputs = keras.Input((6,))
    dead = layers.Dense(5, activation="relu", bias_initializer=bias)(inputs)
    alive = layers.Dense(5, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()([dead, alive])))


def two_inputs() -> keras.Model:
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    return keras.Model({"left": left, "right": right}, layers.Dense(1)(layers.Concatenate()([left, right])))


def attention() -> keras.Model:
    inputs = keras.Input((5,))
    embedded = layers.Embedding(12, 6)(inputs)
    attended = layers.MultiHeadAttention(2, 3, dropout=0.2)(embedded, embedded)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(attended)))


def mixed(policy: str) -> Callable[[], keras.Model]:
    """A factory of models that compute in half precision."""
    return stacked(
        (6,),
        part(layers.Dense, 8, activation="relu", dtype=policy),
        part(layers.BatchNormalization, dtype=policy),
        part(layers.Dense, 1, dtype=policy),
        part(layers.Activation, "linear", dtype="float32"),
    )


def deep() -> keras.Model:
    """Biases before normalizations: their gradients are nothing but rounding."""
    block = (part(layers.Conv2D, 8, 3), part(layers.BatchNormalization), part(layers.ReLU))
    return stacked((6, 6, 1), *block, *block, part(layers.Flatten), part(layers.Dense, 3, activation="softmax"))()
