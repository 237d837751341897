"""Changes that take a possible cause out of both sides at once: where a gap closes under one, the cause is found."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import Data, have_values, leaves, map_arrays
from loopbench_diagnose.patching import replaced


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _same(data: Data) -> Data:
    return data


@dataclass(frozen=True)
class Intervention:
    """``data`` changes what both loops are given, ``patches`` what they call while they run."""

    name: str
    data: Callable[[Data], Data] = _same
    patches: Callable[[], Any] = _nothing
    force_training: bool = False


def _unit_weights(data: Data) -> Data:
    # Weights stay where there are some: a loop may read them.
    by_class = None if data.class_weight is None else dict.fromkeys(data.class_weight, 1.0)
    return replace(data, sample_weight=map_arrays(np.ones_like, data.sample_weight), class_weight=by_class)


@contextmanager
def _fit_without_weights() -> Iterator[None]:
    def make(original: Any) -> Any:
        def fit(model: Any, *args: Any, **kwargs: Any) -> Any:
            return original(model, *args, **{**kwargs, "class_weight": None})

        return fit

    with replaced(keras.Model, "fit", make):
        yield


@contextmanager
def _no_additional_losses() -> Iterator[None]:
    def make(original: Any) -> Any:
        # Zeros in their place: hand-written code adds up a list that it knows not to be empty. They still have a
        # gradient, or an optimizer would refuse to take none.
        return property(lambda layer: [tf.zeros_like(loss) * loss for loss in original.fget(layer)])

    with replaced(keras.layers.Layer, "losses", make):
        yield


def _labels_as_columns(data: Data) -> Data:
    return replace(data, y=keras.tree.map_structure(lambda y: np.asarray(y)[:, None] if np.ndim(y) == 1 else y, data.y))


def _equal_labels(data: Data) -> Data:
    def equal(labels: Any) -> Any:
        return np.repeat(np.asarray(labels)[:1], len(labels), axis=0)

    return replace(data, y=map_arrays(equal, data.y))


DISTRIBUTIONS = ("normal", "uniform", "truncated_normal")
STATELESS = {name: getattr(tf.random, f"stateless_{name}") for name in DISTRIBUTIONS}
# Owners and names of the functions by which loops draw noise, with the distribution.
TENSORFLOW_DRAWS: tuple[tuple[Any, str, str], ...] = (
    *((tf.random, name, name) for name in DISTRIBUTIONS),
    *((tf.random, f"stateless_{name}", name) for name in DISTRIBUTIONS),
    *((tf.random.Generator, name, name) for name in DISTRIBUTIONS),
)
NUMPY_DRAWS = ("normal", "standard_normal", "randn", "uniform", "rand", "random")


def _of_first_row(values: Any, repeat: Callable[..., Any]) -> Any:
    return repeat(values[:1], len(values), axis=0) if np.ndim(values) and len(values) else values


def _equal_tensors(distribution: str) -> Callable[[Any], Any]:
    """The same row for all samples and in every call: two loops come to a call with other seeds."""

    def make(original: Any) -> Any:
        signature = inspect.signature(original)

        def draw(*args: Any, **kwargs: Any) -> Any:
            given = {**signature.bind(*args, **kwargs).arguments, "seed": (0, 0)}
            given.pop("self", None)
            return _of_first_row(STATELESS[distribution](**given), tf.repeat)

        return draw

    return make


def _equal_arrays(name: str) -> Callable[[Any], Any]:
    def draw(*args: Any, **kwargs: Any) -> Any:
        return _of_first_row(getattr(np.random.RandomState(0), name)(*args, **kwargs), np.repeat)

    return lambda _: draw


class _EqualRows(np.random.Generator):
    """A generator of NumPy that draws the same for all samples and in every call."""

    def normal(self, *args: Any, **kwargs: Any) -> Any:
        return _of_first_row(_restarted().normal(*args, **kwargs), np.repeat)

    def standard_normal(self, *args: Any, **kwargs: Any) -> Any:
        return _of_first_row(_restarted().standard_normal(*args, **kwargs), np.repeat)

    def uniform(self, *args: Any, **kwargs: Any) -> Any:
        return _of_first_row(_restarted().uniform(*args, **kwargs), np.repeat)

    def random(self, *args: Any, **kwargs: Any) -> Any:
        return _of_first_row(_restarted().random(*args, **kwargs), np.repeat)


def _restarted() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(0))


def _default_rng(original: Any) -> Any:
    return lambda seed=None: _EqualRows(original(seed).bit_generator)


@contextmanager
def _equal_noise() -> Iterator[None]:
    with ExitStack() as stack:
        for owner, name, distribution in TENSORFLOW_DRAWS:
            stack.enter_context(replaced(owner, name, _equal_tensors(distribution)))
        for name in NUMPY_DRAWS:
            stack.enter_context(replaced(np.random, name, _equal_arrays(name)))
        stack.enter_context(replaced(np.random, "default_rng", _default_rng))
        yield


def are_probabilities(outputs: Any) -> bool:
    """Whether float[n, k] values lie from 0 to 1 and, where there are several, add up to 1."""
    values = np.asarray(keras.ops.convert_to_numpy(outputs), np.float64)
    inside = bool((values >= 0).all() and (values <= 1).all())
    return inside and (values.shape[-1] == 1 or np.allclose(values.sum(axis=-1), 1, atol=1e-2))


def _flagged(are_logits: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """A Keras crossentropy that asks ``are_logits`` of the outputs instead of looking at ``from_logits``."""

    def make(original: Any) -> Any:
        def crossentropy(target: Any, output: Any, from_logits: bool = False, **kwargs: Any) -> Any:
            # Under a strategy Keras builds a model by its graph first, which has no values.
            flag = are_logits(output) if have_values(output) else from_logits
            return original(target, output, from_logits=flag, **kwargs)

        return crossentropy

    return make


def _logits_of(invert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A TensorFlow crossentropy that turns outputs that are probabilities back into logits."""

    def make(original: Any) -> Any:
        def crossentropy(labels: Any = None, logits: Any = None, **kwargs: Any) -> Any:
            if have_values(logits) and are_probabilities(logits):
                logits = invert(tf.clip_by_value(logits, 1e-7, 1 - 1e-7))
            return original(labels=labels, logits=logits, **kwargs)

        return crossentropy

    return make


def _log(probabilities: Any) -> Any:
    return tf.math.log(probabilities)


def _log_odds(probabilities: Any) -> Any:
    return tf.math.log(probabilities) - tf.math.log(1 - probabilities)


def _one_sample(data: Data) -> Data:
    return data.rows(np.zeros(len(data), np.int64))


@contextmanager
def _default_strategy() -> Iterator[None]:
    """TensorFlow's default strategy answers for every other: it has one replica, and distributes nothing."""
    default = tf.distribute.get_strategy()

    def make(original: Any) -> Any:
        return property(lambda _: original.__get__(default))

    with ExitStack() as stack:
        for name in dir(tf.distribute.MirroredStrategy):
            if not name.startswith("_"):
                stack.enter_context(replaced(tf.distribute.MirroredStrategy, name, make))
        yield


KERAS_CROSSENTROPIES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy")
TENSORFLOW_CROSSENTROPIES: dict[str, Callable[[Any], Any]] = {
    "softmax_cross_entropy_with_logits": _logits_of(_log),
    "sparse_softmax_cross_entropy_with_logits": _logits_of(_log),
    "sigmoid_cross_entropy_with_logits": _logits_of(_log_odds),
}


@contextmanager
def _keras_flag(are_logits: Callable[[Any], bool]) -> Iterator[None]:
    # The module that Keras's losses take their operations from; keras.ops is another one, for users.
    inner = keras.losses.categorical_crossentropy.__globals__["ops"]
    with ExitStack() as stack:
        for module in (inner, keras.ops):
            for name in KERAS_CROSSENTROPIES:
                stack.enter_context(replaced(module, name, _flagged(are_logits)))
        yield


def _all_logits() -> Any:
    return _keras_flag(lambda _: True)


@contextmanager
def _right_from_logits() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(_keras_flag(lambda outputs: not are_probabilities(outputs)))
        for name, make in TENSORFLOW_CROSSENTROPIES.items():
            stack.enter_context(replaced(tf.nn, name, make))
        yield


UNIT_WEIGHTS = Intervention("sample weights of 1", data=_unit_weights, patches=_fit_without_weights)
TRAINING_MODE = Intervention("training=True on both sides", force_training=True)
COLUMN_LABELS = Intervention("labels (n, 1) for outputs (n, 1)", data=_labels_as_columns)
RIGHT_LOGITS = Intervention("from_logits as the outputs are", patches=_right_from_logits)
ALL_LOGITS = Intervention("from_logits=True, as the outputs are", patches=_all_logits)
EQUAL_LABELS = Intervention("one label for all samples", data=_equal_labels)
EQUAL_NOISE = Intervention("one row of noise for all samples", patches=_equal_noise)
ONE_SAMPLE = Intervention("one sample in every place", data=_one_sample)
ONE_REPLICA = Intervention("one replica", patches=_default_strategy)
NO_ADDITIONAL_LOSSES = Intervention("no regularization losses", patches=_no_additional_losses)


def has_weights(data: Data) -> bool:
    """Whether a sample or a class weighs more or less than 1."""
    sample = any(bool((np.asarray(leaf) != 1).any()) for leaf in leaves(data.sample_weight))
    return sample or any(weight != 1 for weight in (data.class_weight or {}).values())
