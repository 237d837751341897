"""The table of problems: every model with its data and loss."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from .sound_models import (
    Problem,
    Subclassed,
    attention,
    binary,
    bits,
    classes,
    dead,
    deep,
    frozen,
    hit_binary,
    hit_class,
    hit_one_hot,
    images,
    log_of_class,
    make_data,
    mixed,
    odds,
    one_hot,
    pairs,
    part,
    series,
    softmax,
    squares,
    stacked,
    targets,
    tokens,
    two_dict,
    two_heads,
    two_inputs,
    two_list,
    vectors,
)

MSE: dict[str, Any] = {"loss": "mean_squared_error"}
SPARSE: dict[str, Any] = {"loss": "sparse_categorical_crossentropy"}
TWO: dict[str, Any] = {"loss": {"value": "mse", "label": SPARSE["loss"]}, "loss_weights": {"value": 0.5, "label": 2.0}}
TWO_LIST: dict[str, Any] = {"loss": ["mse", SPARSE["loss"]], "loss_weights": [0.5, 2.0]}
SOFTMAX = part(layers.Dense, 3, activation="softmax")


def _regression(build: Callable[[], keras.Model], *, y: Any = None, float16: bool = False) -> Problem:
    return Problem(build, make_data(vectors(), y or targets()), MSE, squares, float16=float16)


def _classifier(build: Callable[[], keras.Model], x: Callable[[int], Any]) -> Problem:
    return Problem(build, make_data(x, classes), SPARSE, log_of_class, hit_class)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "dense": lambda: _regression(stacked((6,), part(layers.Dense, 8, activation="tanh"), part(layers.Dense, 1))),
    "three_outputs": lambda: Problem(
        stacked((6,), part(layers.Dense, 3)), make_data(vectors(), targets(3)), MSE, squares
    ),
    "logits": lambda: Problem(
        stacked((6,), part(layers.Dense, 8, activation="relu"), part(layers.Dense, 3)),
        make_data(vectors(), one_hot),
        {"loss": keras.losses.CategoricalCrossentropy(from_logits=True)},
        softmax,
        hit_one_hot,
    ),
    "sigmoid": lambda: Problem(
        stacked((6,), part(layers.Dense, 8, activation="relu"), part(layers.Dense, 1, activation="sigmoid")),
        make_data(vectors(), binary),
        {"loss": "binary_crossentropy"},
        odds,
        hit_binary,
    ),
    "conv2d": lambda: _classifier(
        stacked(
            (6, 6, 1),
            part(layers.Conv2D, 4, 3),
            part(layers.BatchNormalization),
            part(layers.ReLU),
            part(layers.Flatten),
            part(layers.Dropout, 0.3),
            SOFTMAX,
        ),
        images(),
    ),
    "augmented": lambda: _classifier(
        stacked(
            (6, 6, 1), part(layers.RandomFlip), part(layers.RandomTranslation, 0.2, 0.2), part(layers.Flatten), SOFTMAX
        ),
        images(),
    ),
    "conv1d": lambda: _classifier(
        stacked(
            (5,),
            part(layers.Embedding, 12, 5),
            part(layers.Conv1D, 6, 3, activation="relu"),
            part(layers.SpatialDropout1D, 0.3),
            part(layers.GlobalMaxPooling1D),
            SOFTMAX,
        ),
        tokens(),
    ),
    "lstm": lambda: _classifier(
        stacked((5,), part(layers.Embedding, 12, 5, mask_zero=True), part(layers.LSTM, 6, dropout=0.2), SOFTMAX),
        tokens(),
    ),
    "gru": lambda: _classifier(
        stacked((5,), part(layers.Embedding, 12, 5), part(layers.GRU, 6, recurrent_dropout=0.2), SOFTMAX), tokens()
    ),
    "attention": lambda: _classifier(attention, tokens()),
    "noise": lambda: _regression(
        stacked(
            (6,),
            part(layers.GaussianNoise, 0.3),
            part(layers.Dense, 8),
            part(layers.LayerNormalization),
            part(layers.ReLU),
            part(layers.Dense, 1),
        )
    ),
    "l2": lambda: _regression(
        stacked((6,), part(layers.Dense, 8, kernel_regularizer=keras.regularizers.L2(0.05)), part(layers.Dense, 1))
    ),
    "regularized": lambda: _regression(
        stacked(
            (6,),
            part(layers.Dense, 8, kernel_regularizer=keras.regularizers.L2(0.05)),
            part(layers.Dense, 1, activity_regularizer=keras.regularizers.L2(0.01)),
        )
    ),
    "two_outputs_dict": lambda: Problem(
        two_heads(dict), make_data(vectors(), lambda x: {"value": targets()(x), "label": classes(x)}), TWO, two_dict
    ),
    "two_outputs_list": lambda: Problem(
        two_heads(list), make_data(vectors(), lambda x: [targets()(x), classes(x)]), TWO_LIST, two_list
    ),
    "two_inputs": lambda: Problem(
        two_inputs,
        make_data(pairs(), lambda x: targets()(x["left"])),
        MSE,
        squares,
    ),
    "subclassed": lambda: _regression(Subclassed),
    "add_loss": lambda: _regression(lambda: Subclassed(penalty=0.1)),
    "sequence": lambda: Problem(
        stacked((5, 3), part(layers.Conv1D, 4, 3, padding="same", activation="relu"), part(layers.Dense, 1)),
        make_data(series(), lambda x: x.sum(axis=2, keepdims=True)),
        MSE,
        lambda y, outputs: tf.reduce_mean(squares(y, outputs), axis=1),
    ),
    "segmentation": lambda: Problem(
        stacked((6, 6, 1), part(layers.Conv2D, 4, 3, padding="same"), part(layers.BatchNormalization), SOFTMAX),
        make_data(images(), lambda x: (x[..., 0] > 0).astype(np.int64)),
        SPARSE,
        lambda y, outputs: tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, outputs), axis=(1, 2)),
        lambda y, outputs: tf.argmax(outputs, axis=-1) == y,
    ),
    "deep": lambda: _classifier(deep, images(100.0)),
    "constrained": lambda: _regression(
        stacked((6,), part(layers.Dense, 8, kernel_constraint=keras.constraints.MaxNorm(0.5)), part(layers.Dense, 1))
    ),
    "no_gradient": lambda: _regression(
        stacked((6,), part(layers.Dense, 4), part(layers.Dense, 1, kernel_initializer="zeros")),
        y=lambda x: np.zeros((len(x), 1), np.float32),
    ),
    "equal_samples": lambda: Problem(
        stacked((3,), part(layers.Dense, 4, activation="tanh"), part(layers.Dense, 1)),
        make_data(bits(), targets()),
        MSE,
        squares,
    ),
    "frozen": lambda: _regression(frozen),
    "dead": lambda: _regression(dead),
    "mixed_bfloat16": lambda: _regression(mixed("mixed_bfloat16")),
    "mixed_float16": lambda: _regression(mixed("mixed_float16"), float16=True),
}
