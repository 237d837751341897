"""Runs long recurrent layers as one graph operation while everything else runs eagerly.

Eager execution costs some twenty operations per time step, and as many for the gradient: 150 steps of an LSTM take
about 0.2 s. The same loop as a graph takes a tenth of that, and computes the same values with the same kernels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from loopbench_diagnose.patching import replaced

# Building the graph and its gradient takes as long as about this number of eager time steps over a whole replay.
LONG = 32
# Cells whose code is known to need nothing but the values that the loop hands them.
CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)


def _fits(layer: Any, sequences: Any) -> bool:
    """Whether a graph computes what the layer would: a stock cell without dropout masks, which eager code draws."""
    cell = layer.cell
    long = sequences.shape[1] is not None and sequences.shape[1] >= LONG
    stock = type(cell) in CELLS and not (cell.dropout or cell.recurrent_dropout)
    return bool(long and stock and tf.executing_eagerly() and not tf.distribute.has_strategy())


@contextmanager
def long_layers_as_graphs() -> Iterator[None]:
    """Within the block, stock recurrent layers of at least 32 time steps run as graphs."""
    graphs: dict[tuple[Any, ...], Any] = {}

    def make(original: Any) -> Any:
        def inner_loop(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
            if not _fits(layer, sequences):
                return original(layer, sequences, initial_state, mask, training)
            state = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
            given = [sequences, *state] + ([] if mask is None else [mask])
            key = (id(layer), bool(training), *((tuple(one.shape), one.dtype) for one in given))
            if key not in graphs:
                graphs[key] = layer, _graph(original, layer, given, count=len(state), training=training)
            return graphs[key][1](*given)

        return inner_loop

    with replaced(keras.layers.RNN, "inner_loop", make):
        yield


def _graph(original: Any, layer: Any, given: list[Any], *, count: int, training: bool) -> Any:
    def loop(sequences: Any, *rest: Any) -> Any:
        mask = rest[count] if len(rest) > count else None
        return original(layer, sequences, list(rest[:count]), mask, training)

    # A concrete function is a graph even while `tf.function` runs eagerly.
    function = tf.function(loop, autograph=False)
    return function.get_concrete_function(*[tf.TensorSpec(one.shape, one.dtype) for one in given])
