"""A grammar of models: inputs, some blocks, an end, a head with its loss, and a way of building all of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st
from keras import layers

from .sound_models import (
    Problem,
    binary,
    classes,
    hit_binary,
    hit_class,
    hit_one_hot,
    images,
    log_of_class,
    make_data,
    odds,
    one_hot,
    series,
    softmax,
    squares,
    targets,
    tokens,
    two_dict,
    vectors,
)

MSE, SPARSE = "mean_squared_error", "sparse_categorical_crossentropy"
PENALTY = 0.05


@dataclass(frozen=True)
class Head:
    """The last layer's units and activation, the labels, and the loss as ``compile`` and as a loop have it."""

    units: int
    activation: str | None
    labels: Callable[[Any], Any]
    loss: Callable[[], Any]
    per_sample: Callable[[Any, Any], Any]
    accuracy: Callable[[Any, Any], Any] | None = None


HEADS: dict[str, Head] = {
    "number": Head(1, None, targets(), lambda: MSE, squares),
    "numbers": Head(3, None, targets(3), lambda: MSE, squares),
    "classes": Head(3, "softmax", classes, lambda: SPARSE, log_of_class, hit_class),
    "logits": Head(
        3, None, one_hot, lambda: keras.losses.CategoricalCrossentropy(from_logits=True), softmax, hit_one_hot
    ),
    "chance": Head(1, "sigmoid", binary, lambda: "binary_crossentropy", odds, hit_binary),
    "two": Head(0, None, lambda x: {"value": targets()(x), "label": classes(x)}, lambda: MSE, two_dict),
}


@dataclass(frozen=True)
class Inputs:
    """The shape of a sample, the samples, the blocks that may follow, and the ends that make a vector of them."""

    shape: tuple[int, ...]
    samples: Callable[[], Callable[[int], Any]]
    blocks: dict[str, Callable[[], list[Any]]]
    ends: dict[str, Callable[[], list[Any]]]


class Attention(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Self-attention with a shortcut around it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm = layers.MultiHeadAttention(2, 3, dropout=0.2), layers.LayerNormalization()

    def build(self, shape: Any) -> None:
        self.attention.build(shape, shape)
        self.norm.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.norm(x + self.attention(x, x, training=training))


OF_ALL: dict[str, Callable[[], list[Any]]] = {
    "normalization": lambda: [layers.BatchNormalization()],
    "layer normalization": lambda: [layers.LayerNormalization(), layers.ReLU()],
    "dropout": lambda: [layers.Dropout(0.3)],
}
OF_SERIES: dict[str, Callable[[], list[Any]]] = {
    **OF_ALL,
    "convolution": lambda: [layers.Conv1D(4, 3, padding="same", activation="relu")],
    "recurrent": lambda: [layers.GRU(4, return_sequences=True)],
    "spatial dropout": lambda: [layers.SpatialDropout1D(0.3)],
    "attention": lambda: [Attention()],
}
ENDS_OF_SERIES: dict[str, Callable[[], list[Any]]] = {
    "mean": lambda: [layers.GlobalAveragePooling1D()],
    "flat": lambda: [layers.Flatten()],
    "last": lambda: [layers.LSTM(4)],
}
INPUTS: dict[str, Inputs] = {
    "vector": Inputs(
        (6,),
        vectors,
        {
            **OF_ALL,
            "dense": lambda: [layers.Dense(5, activation="tanh")],
            "rectified": lambda: [layers.Dense(6, activation="relu")],
            "noise": lambda: [layers.GaussianNoise(0.2)],
        },
        {"none": list},
    ),
    "series": Inputs((5, 3), series, OF_SERIES, ENDS_OF_SERIES),
    "image": Inputs(
        (6, 6, 1),
        images,
        {
            **OF_ALL,
            # Over the last axis alone, an image of one channel would become zeros.
            "layer normalization": lambda: [layers.LayerNormalization(axis=(1, 2, 3)), layers.ReLU()],
            "convolution": lambda: [layers.Conv2D(4, 3, padding="same"), layers.ReLU()],
            "depthwise": lambda: [layers.DepthwiseConv2D(3, padding="same", activation="tanh")],
            "pooling": lambda: [layers.AveragePooling2D(2, padding="same")],
        },
        {"mean": lambda: [layers.GlobalAveragePooling2D()], "flat": lambda: [layers.Flatten()]},
    ),
    "tokens": Inputs((5,), tokens, OF_SERIES, ENDS_OF_SERIES),
}
# Blocks that act otherwise while the model trains.
NORMALIZED, NOISY = {"normalization"}, {"dropout", "noise", "spatial dropout", "attention"}
FORMS = ("sequential", "functional", "subclassed")


class Chain(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Layers in a list, called one after the other by user-written code."""

    def __init__(self, parts: list[Any], heads: dict[str, Any]) -> None:
        super().__init__()
        self.parts, self.heads = parts, list(heads.values())
        self.titles = list(heads)

    def call(self, x: Any, training: bool = False) -> Any:
        for part in self.parts:
            x = part(x, training=training) if part._call_has_training_arg else part(x)
        outputs = [head(x) for head in self.heads]
        return dict(zip(self.titles, outputs, strict=True)) if len(outputs) > 1 else outputs[0]


def _centred(x: Any) -> Any:
    """Inputs of which labels are made: numbers of tokens are as large as other inputs."""
    return (x - 5.5) / 4 if x.dtype.kind == "i" else x


@dataclass(frozen=True)
class Network:
    """A sentence of the grammar; ``penalty`` is the factor of the head's L2 penalty."""

    inputs: str
    blocks: tuple[str, ...]
    end: str
    head: str
    form: str
    penalty: float = 0.0
    weighted: bool = False

    @property
    def acts_in_training(self) -> bool:
        """Whether the model gives other outputs while it trains."""
        return bool((NORMALIZED | NOISY) & {*self.blocks})

    @property
    def mixes_samples(self) -> bool:
        """Whether a sample's output depends on the others of its batch."""
        return bool(NORMALIZED & {*self.blocks})

    def parts(self) -> list[Any]:
        """Its layers without the head, new ones."""
        inputs = INPUTS[self.inputs]
        front = [layers.Embedding(12, 4)] if self.inputs == "tokens" else []
        return [*front, *(layer for name in self.blocks for layer in inputs.blocks[name]()), *inputs.ends[self.end]()]

    def heads(self) -> dict[str, Any]:
        """The last layers by their names."""
        penalty = keras.regularizers.L2(self.penalty) if self.penalty else None
        options: dict[str, Any] = {"kernel_regularizer": penalty}
        if self.head == "two":
            return {
                "value": layers.Dense(1, name="value", **options),
                "label": layers.Dense(3, activation="softmax", name="label", **options),
            }
        head = HEADS[self.head]
        return {"head": layers.Dense(head.units, activation=head.activation, **options)}

    def build(self) -> keras.Model:
        """A new model."""
        return assembled(self, self.parts(), self.heads())

    def problem(self) -> Problem:
        """The model with its data and its loss."""
        head = HEADS[self.head]
        data = make_data(INPUTS[self.inputs].samples(), lambda x: head.labels(_centred(x)))
        if self.weighted:
            weights = np.random.default_rng(2).uniform(0.2, 3.0, size=len(data)).astype(np.float32)
            data = replace(data, sample_weight=weights, validation=None)
        compiled: dict[str, Any] = {"loss": head.loss()}
        if self.head == "two":
            compiled = {"loss": {"value": "mse", "label": SPARSE}, "loss_weights": {"value": 0.5, "label": 2.0}}
        return Problem(self.build, data, compiled, head.per_sample, None if self.weighted else head.accuracy)


def assembled(network: Network, parts: list[Any], heads: dict[str, Any]) -> keras.Model:
    """A model of these layers in the network's form."""
    if network.form == "subclassed":
        return Chain(parts, heads)
    shape = INPUTS[network.inputs].shape
    if network.form == "sequential" and len(heads) == 1:
        return keras.Sequential([keras.Input(shape), *parts, *heads.values()])
    inputs = hidden = keras.Input(shape)
    for part in parts:
        hidden = part(hidden)
    outputs = {name: head(hidden) for name, head in heads.items()}
    return keras.Model(inputs, outputs if len(outputs) > 1 else next(iter(outputs.values())))


def flat_labels(y: Any) -> Any:
    """Labels float[n] of float[n, 1]."""
    return tf.reshape(y, (-1,))


@st.composite
def networks(
    draw: Any,
    *,
    inputs: tuple[str, ...] = tuple(INPUTS),
    heads: tuple[str, ...] = tuple(HEADS),
    block: frozenset[str] = frozenset(),
    mixing: bool = True,
    penalized: bool | None = None,
    weighted: bool = False,
) -> Network:
    """Networks with one of the blocks in ``block``, if there are any; samples are independent without ``mixing``."""
    chosen = draw(st.sampled_from([name for name in inputs if not block or block & {*INPUTS[name].blocks}]))
    names = [name for name in INPUTS[chosen].blocks if mixing or name not in NORMALIZED]
    blocks = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    if block and not block & {*blocks}:
        blocks.append(draw(st.sampled_from([name for name in names if name in block])))
    return Network(
        chosen,
        tuple(blocks),
        draw(st.sampled_from(list(INPUTS[chosen].ends))),
        draw(st.sampled_from(heads)),
        draw(st.sampled_from(FORMS)),
        PENALTY if (draw(st.booleans()) if penalized is None else penalized) else 0.0,
        weighted,
    )
