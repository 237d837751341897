"""The variables of a model by their role, whether a layer is frozen or not."""

from typing import Any

import keras


def _layers(model: keras.Model) -> list[Any]:
    return list(model._flatten_layers(include_self=True, recursive=True))  # noqa: SLF001  Keras has no public way


def parameters(model: keras.Model) -> list[Any]:
    """Weights that layers made to be trained, frozen ones included, in the order of ``model.weights``.

    ``trainable_variables`` changes with ``trainable``; this list does not.
    """
    made = {id(variable) for layer in _layers(model) for variable in layer._trainable_variables}  # noqa: SLF001
    return [variable for variable in model.weights if id(variable) in made]


def _carried(model: keras.Model) -> list[Any]:
    """States of stateful recurrent layers, which Keras does not list among the weights."""
    known = {id(variable) for variable in model.variables}
    found = [leaf for layer in _layers(model) for leaf in keras.tree.flatten(getattr(layer, "states", None))]
    return [leaf for leaf in found if isinstance(leaf, keras.Variable) and id(leaf) not in known]


def state(model: keras.Model) -> list[Any]:
    """All other weights: moving statistics and states of recurrent layers. Seeds are not among them."""
    trained = {id(variable) for variable in parameters(model)}
    return [variable for variable in model.weights if id(variable) not in trained] + _carried(model)


def everything(model: keras.Model) -> list[Any]:
    """All variables: weights, seeds of random layers and states of recurrent layers."""
    return [*model.variables, *_carried(model)]


def shapes(variables: list[Any]) -> list[tuple[int, ...]]:
    """Shape of every variable."""
    return [tuple(variable.shape) for variable in variables]
