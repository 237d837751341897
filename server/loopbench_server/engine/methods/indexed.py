"""Batches by index for ``Model.fit``, taken inside the training graph.

A ``tf.data`` pipeline hands every batch from thread to thread, three switches per step. The iterator of this dataset is
part of the graph instead, like the tape's loop.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from loopbench_server.engine.data import Samples
from loopbench_server.engine.tensors import as_tensors

ELEMENT_SPEC = (tf.TensorSpec((None, 28, 28), tf.float32), tf.TensorSpec((None, 10), tf.float32))


class IndexedIteratorSpec(tf.TypeSpec):
    """Converts an :class:`IndexedIterator` to arguments of a graph, and back."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    @property
    def value_type(self) -> Any:
        """The type that this specifies."""
        return IndexedIterator

    @property
    def _component_specs(self) -> tuple[Any, ...]:
        order, stop, number = (
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((), tf.resource),
        )
        return (*ELEMENT_SPEC, order, stop, number)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return value.components

    def _from_components(self, components: Any) -> Any:
        return IndexedIterator(self._batch_size, tuple(components))

    def _serialize(self) -> tuple[int]:
        return (self._batch_size,)


class IndexedIterator(tf.data.Iterator):
    """Returns batch after batch; ``components`` are its state as tensors.

    Images [n, 28, 28], one-hot labels [n, 10], order int32[n], the number of the batch to stop before, and the handle
    of the variable that holds the number of the next batch.
    """

    def __init__(self, batch_size: int, components: tuple[Any, ...], keep: Any = None) -> None:
        self._batch_size = batch_size
        self.components = components
        self._keep = keep  # a variable lives as long as its object, not as its handle

    @property
    def _type_spec(self) -> Any:
        return IndexedIteratorSpec(self._batch_size)

    @property
    def element_spec(self) -> Any:
        """Images and one-hot labels; the last batch may be smaller."""
        return ELEMENT_SPEC

    def _take_number(self) -> Any:
        *_, handle = self.components
        number = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.int32)
        tf.raw_ops.AssignAddVariableOp(resource=handle, value=tf.constant(1))
        return number

    def _batch(self, number: Any) -> tuple[Any, Any]:
        images, labels, order, *_ = self.components
        start = number * self._batch_size
        index = order[start : tf.minimum(start + self._batch_size, tf.size(order))]
        return tf.gather(images, index), tf.gather(labels, index)

    def get_next(self, name: str | None = None) -> Any:  # noqa: ARG002  TensorFlow's signature
        """Return the next batch; Keras requests only existing ones."""
        return self._batch(self._take_number())

    def __next__(self) -> Any:
        return self.get_next()

    def get_next_as_optional(self) -> Any:
        """Return the next batch, or an empty optional after the last."""
        *_, stop, _ = self.components
        number = self._take_number()
        return tf.cond(
            number < stop,
            lambda: tf.experimental.Optional.from_value(self._batch(number)),
            lambda: tf.experimental.Optional.empty(ELEMENT_SPEC),
        )


class IndexedBatches(tf.data.Dataset):
    """Batches ``numbers`` (images, one-hot labels) of ``samples``, in the given ``order``.

    ``order`` is int32[n], a tensor or a variable; a variable is read again for every iteration.
    """

    def __init__(self, samples: Samples, order: Any, batch_size: int, numbers: range) -> None:
        self._samples, self._order, self._batch_size, self._numbers = samples, order, batch_size, numbers
        # Keras reads only its length.
        super().__init__(tf.data.Dataset.range(len(numbers))._variant_tensor)  # noqa: SLF001  there is no other way

    def _inputs(self) -> list[Any]:
        return []

    @property
    def element_spec(self) -> Any:
        """Images and one-hot labels; the last batch may be smaller."""
        return ELEMENT_SPEC

    def __iter__(self) -> Iterator[Any]:
        number = tf.Variable(self._numbers.start, dtype=tf.int32, trainable=False)
        order, stop = tf.convert_to_tensor(self._order), tf.constant(self._numbers.stop)
        return IndexedIterator(self._batch_size, (*as_tensors(self._samples), order, stop, number.handle), keep=number)
