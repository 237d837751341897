"""Multilayer perceptron. With its defaults it is the article's network: 784 → 256 ReLU → 128 ReLU → 10."""

import keras

from loopbench.spec import Mlp
from loopbench_server.engine.networks.context import Context


def build_layers(network: Mlp, context: Context) -> list[keras.Layer]:
    """Return dense layers of ``network.widths`` units, [batch, 28, 28] → [batch, units]."""
    # Names make variables comparable in logs and digests of different runs.
    dense = [
        keras.layers.Dense(units, "relu", kernel_initializer=context.glorot_uniform(), name=f"hidden_{number}")
        for number, units in enumerate(network.widths, 1)
    ]
    return [keras.layers.Flatten(), *dense]
