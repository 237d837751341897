"""Convolutional network with moving statistics and dropout.

The mean of each feature map keeps the features small. With all pixels as features, the default loss would diverge at
the default learning rate.
"""

import keras

from loopbench.spec import Cnn
from loopbench_server.engine.data import SIDE
from loopbench_server.engine.networks.context import Context


def build_layers(network: Cnn, context: Context) -> list[keras.Layer]:
    """Return one block per entry of ``network.filters``, [batch, 28, 28] → [batch, filters]."""
    blocks = [layer for number, filters in enumerate(network.filters, 1) for layer in _block(number, filters, context)]
    return [
        keras.layers.Reshape((SIDE, SIDE, 1)),
        *blocks,
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(network.dropout, seed=context.draw_seed(), name="dropout"),
    ]


def _block(number: int, filters: int, context: Context) -> list[keras.Layer]:
    """Return a convolution of 3 by 3, batch normalization, ReLU and a maximum that halves the size."""
    return [
        keras.layers.Conv2D(
            filters, 3, padding="same", kernel_initializer=context.glorot_uniform(), name=f"convolution_{number}"
        ),
        keras.layers.BatchNormalization(name=f"normalization_{number}"),
        keras.layers.ReLU(),
        keras.layers.MaxPooling2D(),
    ]
