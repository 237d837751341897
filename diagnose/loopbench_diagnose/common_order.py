"""One sample order for both sides: within the block nothing shuffles."""

import inspect
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.patching import replaced


class _Ordered(np.random.Generator):
    """A generator that draws as it would, and shuffles nothing."""

    def permutation(self, x: Any, axis: int = 0) -> Any:  # noqa: ARG002  NumPy's signature
        return _unshuffled(x)

    def permuted(self, x: Any, *, axis: Any = None, out: Any = None) -> Any:  # noqa: ARG002
        return np.array(x)

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Leaves ``x`` as it is."""

    def choice(self, a: Any, size: Any = None, replace: bool = True, *args: Any, **kwargs: Any) -> Any:
        return (
            _whole_choice(a, size)
            if _is_permutation(a, size, replace)
            else super().choice(a, size, replace, *args, **kwargs)
        )


class _OrderedState(np.random.RandomState):
    """The same for NumPy's older generators."""

    def permutation(self, x: Any) -> Any:
        return _unshuffled(x)

    def shuffle(self, x: Any) -> None:
        """Leaves ``x`` as it is."""

    def choice(self, a: Any, size: Any = None, replace: bool = True, p: Any = None) -> Any:
        return _whole_choice(a, size) if _is_permutation(a, size, replace) else super().choice(a, size, replace, p)


def _unshuffled(x: Any) -> Any:
    return np.arange(x) if np.ndim(x) == 0 else np.array(x)


def _count(a: Any) -> int:
    return int(a) if np.ndim(a) == 0 else len(a)


def _is_permutation(a: Any, size: Any, replace: bool) -> bool:
    return not replace and size is not None and np.ndim(size) == 0 and int(size) == _count(a)


def _whole_choice(a: Any, size: Any) -> Any:  # noqa: ARG001  as above
    return _unshuffled(a)


def _fit(original: Any) -> Any:
    signature = inspect.signature(original)

    def fit(model: Any, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(model, *args, **kwargs)
        bound.arguments["shuffle"] = False
        return original(*bound.args, **bound.kwargs)

    return fit


def _identity(original: Any) -> Any:  # noqa: ARG001
    return lambda x, *args, **kwargs: x  # noqa: ARG005


def _sample(original: Any) -> Any:
    def sample(population: Any, k: int, **kwargs: Any) -> Any:
        return list(population) if k == len(population) else original(population, k, **kwargs)

    return sample


def _choice(original: Any) -> Any:
    def choice(a: Any, size: Any = None, replace: bool = True, p: Any = None) -> Any:
        return _whole_choice(a, size) if _is_permutation(a, size, replace) else original(a, size, replace, p)

    return choice


def _default_rng(original: Any) -> Any:
    return lambda seed=None: _Ordered(original(seed).bit_generator)


# Owner, name, and what makes the replacement of the original.
PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (tf.data.Dataset, "shuffle", lambda _: lambda dataset, *args, **kwargs: dataset),  # noqa: ARG005
    (keras.Model, "fit", _fit),
    (np.random, "permutation", lambda _: _unshuffled),
    (np.random, "shuffle", lambda _: lambda x: None),  # noqa: ARG005
    (np.random, "choice", _choice),
    (np.random, "default_rng", _default_rng),
    (np.random, "RandomState", lambda _: _OrderedState),
    (random, "shuffle", lambda _: lambda x, *args: None),  # noqa: ARG005
    (random, "sample", _sample),
    (tf.random, "shuffle", _identity),
    (tf.random.experimental, "index_shuffle", lambda _: lambda index, *args, **kwargs: index),  # noqa: ARG005
    (keras.random, "shuffle", _identity),
)


@contextmanager
def common_order() -> Iterator[None]:
    """Shuffles of TensorFlow, Keras, NumPy and Python leave the order as it is."""
    with ExitStack() as stack:
        for owner, name, make in PATCHES:
            stack.enter_context(replaced(owner, name, make))
        yield
