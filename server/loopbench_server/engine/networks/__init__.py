"""The networks, one per module, and their table. A module returns the layers between input and outputs.

A new network takes a module, an entry here, and its sizes in ``loopbench.spec.networks`` and the contract.
"""

from collections.abc import Callable
from typing import Any

import keras

from loopbench.spec import RunSpec
from loopbench_server.engine.data import CLASSES, SIDE
from loopbench_server.engine.networks import cnn, lstm, mlp
from loopbench_server.engine.networks.context import Context
from loopbench_server.engine.networks.weights import weights_digest

NETWORKS: dict[str, Callable[[Any, Context], list[keras.Layer]]] = {
    "mlp": mlp.build_layers,
    "cnn": cnn.build_layers,
    "lstm": lstm.build_layers,
}


def build_model(spec: RunSpec) -> keras.Sequential:
    """Return the network of ``spec``; its initial weights and random generators follow from the seed alone.

    Input float32[batch, 28, 28], output float32[batch, 10] without an activation. Biases are zero.
    """
    context = Context(spec)
    layers = NETWORKS[spec.network.kind](spec.network, context)
    outputs = keras.layers.Dense(CLASSES, kernel_initializer=context.glorot_uniform(), name="outputs")
    return keras.Sequential([keras.Input((SIDE, SIDE)), *layers, outputs], name="network")


__all__ = ["NETWORKS", "build_model", "weights_digest"]
