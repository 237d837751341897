"""Long recurrent layers that run as graphs compute what they compute eagerly."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose.recurrent import LONG, long_layers_as_graphs

LAYERS = [
    keras.layers.LSTM(3, return_sequences=True),
    keras.layers.GRU(3, go_backwards=True),
    keras.layers.SimpleRNN(3, return_state=True),
]
SAMPLES = 4


def outputs_and_gradients(layer: Any, x: Any, mask: Any) -> list[Any]:
    with tf.GradientTape() as tape:
        outputs = keras.tree.flatten(layer(x, mask=mask, training=True))
        loss = sum(tf.reduce_sum(tf.square(output)) for output in outputs)
    return [*outputs, *tape.gradient(loss, layer.trainable_variables)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_graph_gives_the_outputs_and_gradients_of_eager_execution(layer: Any, masked: bool) -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(SAMPLES, LONG, 2)), tf.float32)
    mask = tf.sequence_mask([LONG, 5, 9, 1], LONG) if masked else None
    eager = outputs_and_gradients(layer, x, mask)
    with long_layers_as_graphs():
        graph = outputs_and_gradients(layer, x, mask)
    for one, other in zip(eager, graph, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


class CountingCell(keras.layers.SimpleRNNCell):  # type: ignore[misc]  # Keras is untyped
    """Code of a user, which may need values."""

    steps = 0

    def call(self, *args: Any, **kwargs: Any) -> Any:
        type(self).steps += 1
        return super().call(*args, **kwargs)


def test_a_users_cell_still_runs_eagerly() -> None:
    layer, x = keras.layers.RNN(CountingCell(2)), tf.zeros((1, LONG, 1))
    with long_layers_as_graphs():
        layer(x)
        CountingCell.steps = 0
        layer(x)
    assert CountingCell.steps >= LONG


def test_a_long_layer_is_traced_once_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, original = [], keras.layers.SimpleRNNCell.call

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(keras.layers.SimpleRNNCell, "call", call)
    layer = keras.layers.SimpleRNN(2)
    layer.build((None, LONG, 1))
    with long_layers_as_graphs():
        for rows in (1, 1, 2, 2):
            layer(tf.zeros((rows, LONG, 1)))
    assert len(calls) < LONG
