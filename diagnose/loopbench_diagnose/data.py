"""The samples that both sides are trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Data:
    """Arrays, or tuples or mappings of arrays, with a sample a row.

    ``x`` are a model's inputs and ``y`` its labels, one or several of either; ``sample_weight`` is float[n], or one
    such array an output; ``class_weight`` maps a class to its weight. ``validation`` is a set of its own.

    Raises:
        ValueError: the arrays are of different lengths, or hold nothing; all of them are named.
    """

    x: Any
    y: Any
    sample_weight: Any = None
    class_weight: Mapping[int, float] | None = None
    validation: "Data | None" = None

    def __post_init__(self) -> None:
        names = ("x", "y", "sample_weight")
        scalars = [name for name in names if any(np.ndim(leaf) == 0 for leaf in leaves(getattr(self, name)))]
        if scalars:
            raise ValueError(
                f"{' and '.join(scalars)} must be arrays with a sample a row: a list is one of several arrays"
            )
        lengths = {name: sorted({len(np.asarray(leaf)) for leaf in leaves(getattr(self, name))}) for name in names}
        found = {length for values in lengths.values() for length in values}
        if len(found) != 1 or 0 in found:
            told = ", ".join(f"{name} {' and '.join(map(str, values))}" for name, values in lengths.items() if values)
            raise ValueError(f"x, y and sample_weight must hold the same number of samples, at least one; here: {told}")

    def __len__(self) -> int:
        return len(leaves(self.x)[0])

    def rows(self, index: Any) -> "Data":
        """The samples at ``index``, a slice or int[k], with the same validation set."""
        taken = {name: _rows(getattr(self, name), index) for name in ("x", "y", "sample_weight")}
        return replace(self, **taken)

    def copied(self) -> "Data":
        """With arrays of its own, which a loop may shuffle in place."""
        parts = {name: _copied(getattr(self, name)) for name in ("x", "y", "sample_weight")}
        return replace(self, **parts, validation=None if self.validation is None else self.validation.copied())

    def prime(self, most: int) -> "Data":
        """The first samples, as many as the largest prime number of at most ``most`` and as there are.

        No size of batch divides it, so that the last batch is always a smaller one, in training as in validation.
        """
        validation = None if self.validation is None else self.validation.prime(most)
        return replace(self.rows(slice(largest_prime(min(most, len(self))))), validation=validation)


def leaves(arrays: Any) -> list[Any]:
    """The arrays of a nested structure; none of None."""
    return [leaf for leaf in keras.tree.flatten(arrays) if leaf is not None]


def have_values(arrays: Any) -> bool:
    """Whether all of them are arrays or eager tensors, and none stands for one in a graph."""
    return all(isinstance(leaf, np.ndarray) or hasattr(leaf, "numpy") for leaf in leaves(arrays))


def _rows(arrays: Any, index: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else np.asarray(leaf)[index], arrays)


def _copied(arrays: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else np.array(leaf), arrays)


def largest_prime(most: int) -> int:
    """The largest prime up to ``most``; 1 where there is none."""
    candidates = np.arange(most + 1)
    is_prime: NDArray[np.bool_] = candidates > 1
    for factor in range(2, int(most**0.5) + 1):
        is_prime[factor * factor :: factor] = False
    return int(candidates[is_prime].max(initial=1))
