"""Changed copies of a program's model: other activations, other initial weights, no dropout, no penalties."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.data import leaves
from loopbench_diagnose.patching import replaced
from loopbench_diagnose.side import Factory

layers = keras.layers

# Layers that are an activation and nothing else, by the name of the function.
ACTIVATIONS: dict[type, str] = {
    layers.Softmax: "softmax",
    layers.ReLU: "relu",
    layers.LeakyReLU: "leaky_relu",
    layers.ELU: "elu",
    layers.PReLU: "prelu",
}
# Layers that hand on their values, or a choice of them, in another shape or for training alone.
NEUTRAL = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.ActivityRegularization,
)
RECURRENT = (layers.LSTM, layers.GRU, layers.SimpleRNN)
CELLS = (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell)
# An activation that hands every value on, those that are flat on both sides, and those on one.
LINEAR = "linear"
SATURATING = frozenset({"sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softmax", "softsign", "log_sigmoid"})
RECTIFIERS = frozenset({"relu", "relu6"})


@contextmanager
def _calls() -> Iterator[list[Any]]:
    """Layers with their outputs, in the order in which their calls end."""
    made: list[Any] = []

    def noting(original: Any) -> Any:
        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            outputs = original(layer, *args, **kwargs)
            if not isinstance(layer, keras.Model):
                made.append((layer, outputs))
            return outputs

        return call

    with replaced(layers.Layer, "__call__", noting):
        yield made


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Layers of a model by their part.

    ``order`` are all layers but models, in the order of their calls, each once. ``tail`` are the layers that make the
    activation of the outputs: one with weights, or None where it is unknown, and those behind it that are activations.
    """

    order: list[Any]
    tail: list[Any]

    @property
    def output(self) -> str | None:
        """The activation of the outputs: names joined by ``+``; None where it is unknown."""
        if not self.tail:
            return None
        names = [name for name in map(activation_of, self.tail) if name not in {LINEAR, None}]
        return "+".join(map(str, names)) or LINEAR

    @property
    def hidden(self) -> list[Any]:
        """Layers before the tail that have an activation, recurrent ones left out."""
        tail = set(map(id, self.tail))
        return [
            layer
            for layer in self.order
            if id(layer) not in tail
            and activation_of(layer) is not None
            and not isinstance(layer, (*RECURRENT, *CELLS))
        ]

    @property
    def units(self) -> int | None:
        """Columns of the output; None where it is unknown."""
        return next((getattr(layer, "units", None) for layer in self.tail if getattr(layer, "units", None)), None)

    def linear_chains(self) -> list[Any]:
        """Layers with weights whose outputs reach the next such layer without any function that is not linear."""
        found: list[Any] = []
        open_layer = None
        for layer in self.order:
            if isinstance(layer, layers.Dense | layers.Conv1D | layers.Conv2D | layers.Conv3D):
                if open_layer is not None:
                    found.append(open_layer)
                open_layer = layer if activation_of(layer) == LINEAR else None
            elif not isinstance(layer, (*NEUTRAL, layers.InputLayer, layers.BatchNormalization)):
                open_layer = None
        return found


def values_of(model: keras.Model, x: Any) -> list[tuple[Any, Any]]:
    """Hidden layers that have an activation, with the outputs of each for ``x``."""
    chosen = {id(layer) for layer in anatomy(model, x).hidden}
    with _calls() as made:
        model(x, training=False)
    return [(layer, np.asarray(outputs)) for layer, outputs in made if id(layer) in chosen]


def anatomy(model: keras.Model, x: Any) -> Anatomy:
    """The layers of ``model`` as it is called on ``x``, some rows of inputs."""
    with _calls() as made:
        outputs = model(x, training=False)
    order = [_inside(layer) for layer in {id(layer): layer for layer, _ in reversed(made)}.values()][::-1]
    single = leaves(outputs)
    whole = len(single) == 1 and bool(made) and _same(leaves(made[-1][1]), single)
    return Anatomy(order, _tail(order) if whole else [])


def _inside(layer: Any) -> Any:
    """The layer that is applied to every step, where it is called by way of another one."""
    return layer.layer if isinstance(layer, layers.TimeDistributed) else layer


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)
        for one, other in zip(first, second, strict=True)
    )


def _tail(order: Sequence[Any]) -> list[Any]:
    tail: list[Any] = []
    for layer in reversed(order):
        if type(layer) in ACTIVATIONS or isinstance(layer, layers.Activation):
            tail.append(layer)
        elif layer.weights and activation_of(layer) is not None and not isinstance(layer, RECURRENT):
            return [layer, *reversed(tail)]
        elif not isinstance(layer, (*NEUTRAL, layers.Wrapper)):
            break
    return []


def activation_of(layer: Any) -> str | None:
    """The name of the layer's activation; None where it has none to choose."""
    if type(layer) in ACTIVATIONS:
        return ACTIVATIONS[type(layer)]
    if not hasattr(layer, "activation") or not callable(layer.activation):
        return None
    return getattr(layer.activation, "__name__", type(layer.activation).__name__)


def _set(layer: Any, activation: str) -> None:
    function = keras.activations.get(activation)
    if hasattr(layer, "activation"):
        layer.activation = function
    else:
        layer.call = lambda inputs, *_, **__: function(inputs)


# Changes a model, or returns another one.
Change = Callable[[keras.Model, Anatomy], keras.Model | None]


def changed(build_model: Factory, x: Any, *changes: Change) -> Factory:
    """Makes the models of ``build_model`` with ``changes``; ``x`` are rows to call them on."""

    def build() -> keras.Model:
        model = build_model()
        for change in changes:
            model = change(model, anatomy(model, x)) or model
        return model

    return build


def output(activation: str) -> Change:
    """Gives the outputs another activation, and that alone."""

    def change(_: keras.Model, parts: Anatomy) -> None:
        for layer in parts.tail:
            _set(layer, LINEAR)
        _set(parts.tail[-1], activation)

    return change


def hidden(activation: str, only: frozenset[str]) -> Change:
    """Replaces the activations of hidden layers that are among ``only``."""

    def change(_: keras.Model, parts: Anatomy) -> None:
        for layer in parts.hidden:
            if activation_of(layer) in only:
                _set(layer, activation)

    return change


def between(activation: str) -> Change:
    """Puts an activation between layers that follow each other without one."""

    def change(_: keras.Model, parts: Anatomy) -> None:
        for layer in parts.linear_chains():
            _set(layer, activation)

    return change


def recurrent(activation: str) -> Change:
    """Gives recurrent layers another activation."""

    def change(_: keras.Model, parts: Anatomy) -> None:
        for layer in parts.order:
            if isinstance(layer, RECURRENT):
                layer.cell.activation = keras.activations.get(activation)

    return change


def without_dropout(_: keras.Model, parts: Anatomy) -> None:
    """No layer drops values while it trains."""
    for layer in parts.order:
        if hasattr(layer, "rate") and isinstance(layer, layers.Layer):
            layer.rate = 0.0


def without_penalty(model: keras.Model, parts: Anatomy) -> None:
    """No weights or outputs are penalized."""
    for variable in model.trainable_variables:
        variable.regularizer = None
    for layer in parts.order:
        layer.activity_regularizer = None


def unfrozen(model: keras.Model, _: Anatomy) -> None:
    """All layers are trained."""
    # Keras does not pass a value on to the layers of a model that has it already.
    for layer in model._flatten_layers():  # noqa: SLF001  Keras has no public way
        layer.trainable = True


# By the name of a variable: an initializer that suits all layers.
INITIALIZERS: dict[str, Callable[[], Any]] = {
    "kernel": keras.initializers.GlorotUniform,
    "depthwise_kernel": keras.initializers.GlorotUniform,
    "pointwise_kernel": keras.initializers.GlorotUniform,
    "recurrent_kernel": keras.initializers.Orthogonal,
    "bias": keras.initializers.Zeros,
}


def reinitialized(model: keras.Model, _: Anatomy) -> None:
    """Weights start as they do by default."""
    for variable in model.trainable_variables:
        if make := INITIALIZERS.get(variable.name):
            variable.assign(make()(tuple(variable.shape)))


def units(count: int) -> Change:
    """Gives the outputs ``count`` columns. The model has to be one that Keras can clone."""

    def change(model: keras.Model, parts: Anatomy) -> keras.Model:
        last = parts.tail[0].name

        def cloned(layer: Any) -> Any:
            config = layer.get_config()
            return type(layer).from_config({**config, "units": count} if layer.name == last else config)

        return keras.models.clone_model(model, clone_function=cloned)

    return change
