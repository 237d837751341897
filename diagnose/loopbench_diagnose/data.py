"""The samples that both sides are trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Kinds of NumPy types that hold strings: Python objects, bytes and Unicode.
STRINGS = "OSU"
# Between the strings of a sample.
SEPARATOR = b"\0"
# The parts that have one row per sample, in Keras's order.
PARTS = ("x", "y", "sample_weight")
# What holds batches, or samples, of inputs, labels and sample weights together.
PIPELINES = (tf.data.Dataset, keras.utils.PyDataset)


class DataError(ValueError):
    """Data that cannot be read, or whose arrays do not fit together."""


@dataclass(frozen=True)
class Data:
    """Arrays, or tuples or mappings of arrays, with one sample per row; numbers or strings.

    ``x`` are the inputs of a model and ``y`` its labels, one or several of either; ``y`` is None where a loop needs no
    labels. ``sample_weight`` is float[n], or one such array per output; ``class_weight`` maps a class to its weight.
    ``validation`` is another set. ``x`` may also be a ``tf.data.Dataset`` or a ``keras.utils.PyDataset`` that holds the
    labels and sample weights as well.

    Raises:
        DataError: the arrays have different lengths or no rows; the message names all of them.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    class_weight: Mapping[int, float] | None = None
    validation: "Data | None" = None

    def __post_init__(self) -> None:
        if isinstance(self.x, PIPELINES):
            _check_pipeline(self)
        else:
            _check_arrays(self)

    def __len__(self) -> int:
        return len(leaves(self.x)[0])

    def rows(self, index: Any) -> "Data":
        """The samples at ``index``, a slice or int[k], with the same validation set."""
        taken = {name: _rows(getattr(self, name), index) for name in PARTS}
        return replace(self, **taken)

    def copied(self) -> "Data":
        """A copy of the arrays, which a loop may shuffle in place."""
        parts = {name: _copied(getattr(self, name)) for name in PARTS}
        return replace(self, **parts, validation=None if self.validation is None else self.validation.copied())

    def prime(self, most: int) -> "Data":
        """The first samples, as many as the largest prime number of at most ``most`` and as there are.

        No size of batch divides it, so that the last batch is always a smaller one, in training as in validation.
        """
        validation = None if self.validation is None else self.validation.prime(most)
        return replace(self.rows(slice(largest_prime(min(most, len(self))))), validation=validation)

    def first(self, most: int) -> "Data":
        """The first samples of either set, at most ``most``."""
        validation = None if self.validation is None else self.validation.first(most)
        return replace(self.rows(slice(most)), validation=validation)


def _check_pipeline(data: Data) -> None:
    given = [name for name in ("y", "sample_weight") if getattr(data, name) is not None]
    if given:
        raise DataError(
            f"{' and '.join(given)} must be part of the elements where x is a {type(data.x).__name__}: leave them out"
        )


def _check_arrays(data: Data) -> None:
    scalars = [name for name in PARTS if any(np.ndim(leaf) == 0 for leaf in leaves(getattr(data, name)))]
    if scalars:
        raise DataError(
            f"{' and '.join(scalars)} must be arrays with one sample per row: a list stands for several arrays"
        )
    lengths = {name: sorted({len(leaf) for leaf in leaves(getattr(data, name))}) for name in PARTS}
    found = {length for values in lengths.values() for length in values}
    if len(found) != 1 or 0 in found or not lengths["x"]:
        given = ", ".join(f"{name} {' and '.join(map(str, values))}" for name, values in lengths.items() if values)
        raise DataError(
            f"x, y and sample_weight must hold the same number of samples, at least one; here: {given or 'no arrays'}"
        )


def leaves(arrays: Any) -> list[Any]:
    """The arrays of a nested structure; None is no array."""
    return [leaf for leaf in keras.tree.flatten(arrays) if leaf is not None]


def have_values(arrays: Any) -> bool:
    """Whether all of them are arrays or eager tensors, and none stands for one in a graph."""
    return all(isinstance(leaf, np.ndarray) or hasattr(leaf, "numpy") for leaf in leaves(arrays))


def map_arrays(function: Callable[[Any], Any], arrays: Any) -> Any:
    """The same structure with ``function`` applied to every array; None stays None."""
    return keras.tree.map_structure(lambda leaf: None if leaf is None else function(leaf), arrays)


def sample_keys(inputs: Any) -> list[bytes]:
    """One key per sample: the bytes of its values over all inputs, numbers as float32 and strings as UTF-8."""
    columns = [_row_bytes(np.asarray(keras.ops.convert_to_numpy(leaf))) for leaf in leaves(inputs)]
    return [b"".join(parts) for parts in zip(*columns, strict=True)]


def _row_bytes(array: Any) -> list[bytes]:
    if array.dtype.kind in STRINGS:
        return [SEPARATOR.join(map(_encoded, row.ravel())) for row in array.reshape(len(array), -1)]
    return [row.tobytes() for row in np.ascontiguousarray(array, np.float32)]


def _encoded(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()


def _rows(arrays: Any, index: Any) -> Any:
    return map_arrays(lambda leaf: np.asarray(leaf)[index], arrays)


def _copied(arrays: Any) -> Any:
    return map_arrays(np.array, arrays)


def sample_weights(data: Data, class_weight: Mapping[int, float] | None) -> Any:
    """Those of ``data``, times the weights of its samples' classes where every sample has one class and a weight."""
    labels = leaves(data.y)
    if not class_weight or len(labels) != 1 or np.asarray(labels[0]).dtype.kind not in "biuf":
        return data.sample_weight
    y = np.asarray(labels[0])
    classes = (y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y).reshape(len(y), -1)
    if classes.shape[1] != 1:
        return data.sample_weight
    weights = np.array([class_weight.get(int(one), 1.0) for one in classes[:, 0]], np.float32)
    return weights if data.sample_weight is None else map_arrays(lambda leaf: weights * leaf, data.sample_weight)


def largest_prime(most: int) -> int:
    """The largest prime up to ``most``; 1 where there is none."""
    candidates = np.arange(most + 1)
    is_prime: NDArray[np.bool_] = candidates > 1
    for factor in range(2, int(most**0.5) + 1):
        is_prime[factor * factor :: factor] = False
    return int(candidates[is_prime].max(initial=1))
