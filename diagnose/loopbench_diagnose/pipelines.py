"""Data sets that yield batches or samples: each is read into arrays, and made of arrays again for the loops."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import PARTS, Data, DataError, leaves

# Samples that are read at once from a data set of single samples.
READ_AT_ONCE = 256


class Pipeline(Protocol):
    """One kind of data set."""

    @property
    def batch_size(self) -> int | None:
        """Samples in the first batch; None where it yields single samples."""

    def read(self, most: int) -> Data:
        """The first samples as arrays: at least ``most``, or all.

        Raises:
            DataError: it holds no samples, or samples that no array can hold.
        """

    def batches(self) -> Iterator[Data]:
        """One pass over all batches; an endless data set never ends."""

    def made_of(self, data: Data) -> Any:
        """A data set of the same kind, with the same size of batches and the same structure of elements."""


@dataclass(frozen=True)
class Element:
    """The structure of what a data set yields: ``parts`` of x, y and sample_weight in a tuple, or x alone for 0."""

    parts: int

    @classmethod
    def like(cls, element: Any) -> "Element":
        """The structure of ``element``.

        Raises:
            DataError: it is a tuple of more than three parts.
        """
        if not isinstance(element, tuple):
            return cls(0)
        if not 0 < len(element) <= len(PARTS):
            raise DataError(
                f"a data set yields tuples of {len(element)} parts; they must be x, (x, y) or (x, y, sample_weight)"
            )
        return cls(len(element))

    def data(self, element: Any) -> Data:
        """A batch that a data set yields."""
        return Data(*element) if self.parts else Data(element)

    def joined(self, data: Data) -> Any:
        """The arrays of ``data`` in this structure."""
        if not self.parts:
            return data.x
        weight = np.ones(len(data), np.float32) if data.sample_weight is None else data.sample_weight
        return (data.x, data.y, weight)[: self.parts]


@dataclass(frozen=True)
class TensorPipeline:
    """A ``tf.data.Dataset``."""

    dataset: Any
    element: Element
    batch_size: int | None

    @classmethod
    def of(cls, dataset: Any, build_model: Callable[[], keras.Model]) -> "TensorPipeline":
        """``dataset`` with what its first element shows; ``build_model`` decides where shapes alone do not.

        Raises:
            DataError: it yields nothing, or tensors that are not dense.
        """
        for spec in keras.tree.flatten(dataset.element_spec):
            if not isinstance(spec, tf.TensorSpec):
                raise DataError(
                    f"a tf.data.Dataset yields {type(spec).__name__.removesuffix('Spec')}s; "
                    "make them dense first, for example with to_tensor()"
                )
        first = next(iter(dataset.take(1)), None)
        if first is None:
            raise DataError("a tf.data.Dataset yields no samples")
        size = int(leaves(first)[0].shape[0]) if _is_batched(dataset, first, build_model) else None
        return cls(dataset, Element.like(first), size)

    def read(self, most: int) -> Data:
        """See :class:`Pipeline`."""
        return _stacked(self.batches(), most)

    def batches(self) -> Iterator[Data]:
        """See :class:`Pipeline`; single samples come in batches of :data:`READ_AT_ONCE`."""
        batches = self.dataset.batch(READ_AT_ONCE) if self.batch_size is None else self.dataset
        return map(self.element.data, batches.as_numpy_iterator())

    def made_of(self, data: Data) -> Any:
        """See :class:`Pipeline`. An endless data set stays endless."""
        made = tf.data.Dataset.from_tensor_slices(self.element.joined(data))
        if self.batch_size is not None:
            static = all(spec.shape[0] is not None for spec in keras.tree.flatten(self.dataset.element_spec))
            # Fewer samples than one batch would make none.
            made = made.batch(self.batch_size, drop_remainder=static and len(data) >= self.batch_size)
        return made.repeat() if self.dataset.cardinality() == tf.data.INFINITE_CARDINALITY else made


def _is_batched(dataset: Any, first: Any, build_model: Callable[[], keras.Model]) -> bool:
    shapes = [tuple(leaf.shape) for leaf in leaves(first)]
    if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        return False
    if any(spec.shape.rank is None or spec.shape[0] is None for spec in keras.tree.flatten(dataset.element_spec)):
        return True
    # Samples of an autoencoder, (12,) and (12,), look like a batch of 12.
    inputs = getattr(build_model(), "inputs", None)
    return not inputs or len(shapes[0]) == len(leaves(inputs)[0].shape)


@dataclass(frozen=True)
class SequencePipeline:
    """A ``keras.utils.PyDataset``, which always yields batches."""

    sequence: Any
    element: Element
    batch_size: int

    @classmethod
    def of(cls, sequence: Any) -> "SequencePipeline":
        """``sequence`` with what its first batch shows.

        Raises:
            DataError: it holds no batches.
        """
        if sequence.num_batches == 0:
            raise DataError("a PyDataset holds no batches")
        first = sequence[0]
        element = Element.like(first)
        return cls(sequence, element, len(element.data(first)))

    def read(self, most: int) -> Data:
        """See :class:`Pipeline`."""
        return _stacked(self.batches(), most)

    def batches(self) -> Iterator[Data]:
        """See :class:`Pipeline`."""
        number = self.sequence.num_batches
        return (self.element.data(self.sequence[index]) for index in (count() if number is None else range(number)))

    def made_of(self, data: Data) -> Any:
        """See :class:`Pipeline`."""
        return _Batches(data, self.element, self.batch_size, endless=self.sequence.num_batches is None)


class _Batches(keras.utils.PyDataset):
    def __init__(self, data: Data, element: Element, batch_size: int, *, endless: bool) -> None:
        super().__init__()
        self._data, self._element, self._batch_size, self._endless = data, element, batch_size, endless
        self._batches = -(-len(data) // batch_size)

    @property
    def num_batches(self) -> int | None:
        return None if self._endless else self._batches

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> Any:
        start = index % self._batches * self._batch_size
        return self._element.joined(self._data.rows(slice(start, start + self._batch_size)))


def _stacked(batches: Iterable[Data], most: int) -> Data:
    taken: list[Data] = []
    for batch in batches:
        taken.append(batch)
        if sum(map(len, taken)) >= most:
            break
    if not taken:
        raise DataError("a data set yields no samples")
    return Data(*(_concatenated(name, [getattr(batch, name) for batch in taken]) for name in PARTS))


def _concatenated(name: str, parts: list[Any]) -> Any:
    def join(*arrays: Any) -> Any:
        if arrays[0] is None:
            return None
        shapes = sorted({np.shape(array)[1:] for array in arrays})
        if len(shapes) > 1:
            raise DataError(
                f"samples of {name} have different shapes, {shapes[0]} and {shapes[-1]}: pad them to one shape"
            )
        return np.concatenate([np.asarray(array) for array in arrays])

    return keras.tree.map_structure(join, *parts)


def batched(x: Any, batch_size: int, model: keras.Model) -> Any:
    """``x``, a data set, in batches: a ``tf.data.Dataset`` of single samples of ``model`` is batched."""
    pipeline = pipeline_of(x, lambda: model)
    return x.batch(batch_size) if pipeline.batch_size is None else x


def pipeline_of(x: Any, build_model: Callable[[], keras.Model]) -> Pipeline:
    """``x``, a data set, as a :class:`Pipeline`.

    Raises:
        DataError: nothing can be read from it.
    """
    return SequencePipeline.of(x) if isinstance(x, keras.utils.PyDataset) else TensorPipeline.of(x, build_model)
