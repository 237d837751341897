"""Recurrent network that reads an image row by row."""

import keras

from loopbench.spec import Execution, Lstm
from loopbench_server.engine.networks.context import Context


def build_layers(network: Lstm, context: Context) -> list[keras.Layer]:
    """Return an LSTM layer of ``network.units`` units over 28 steps, [batch, 28, 28] → [batch, units].

    Outside of XLA the steps are unrolled. TensorFlow sums the gradients of the steps one by one in a loop of the graph,
    but in groups in an eager loop, which gives other bits. XLA compiles a loop in a sixth of the time of 28 steps.
    """
    return [
        keras.layers.LSTM(
            network.units,
            kernel_initializer=context.glorot_uniform(),
            recurrent_initializer=keras.initializers.Orthogonal(seed=context.draw_seed()),
            # Keras draws this seed at random if it is not set, even without dropout.
            seed=context.draw_seed(),
            # The layer for cuDNN has another implementation per execution, and none under XLA.
            use_cudnn=False,
            unroll=context.execution is not Execution.XLA,
            name="lstm",
        )
    ]
