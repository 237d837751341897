"""The containers in which users hold samples: each is turned into :class:`Data`, and back for the loops."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import keras

from loopbench_diagnose.data import PARTS, PIPELINES, Data, DataError
from loopbench_diagnose.pairs import is_pair, may_be_pair

KINDS = (
    "arrays, (x, y), (training, validation), a mapping, Data, a tf.data.Dataset, a keras.utils.PyDataset, "
    "or a function without arguments that returns one of them"
)


@dataclass(frozen=True)
class Container:
    """One way to hold the parts of :class:`Data`: which values are of this kind, and the way there and back.

    ``back`` puts samples into a container like the one that it takes as its second argument.
    """

    holds: Callable[[Any], bool]
    data: Callable[[Any], Data]
    back: Callable[[Data, Any], Any]


def _is_mapping_of_parts(given: Any) -> bool:
    return isinstance(given, Mapping) and "x" in given and set(given) <= set(PARTS)


# The first that holds a value is its kind: what comes later is more general.
OF_ONE_SET: tuple[Container, ...] = (
    Container(lambda given: isinstance(given, Data), lambda given: given, lambda data, _: data),
    Container(lambda given: isinstance(given, PIPELINES), Data, lambda data, _: data.x),
    Container(
        lambda given: isinstance(given, tuple | list) and 0 < len(given) <= len(PARTS),
        lambda given: Data(*given),
        lambda data, given: type(given)(getattr(data, name) for name in PARTS[: len(given)]),
    ),
    Container(
        _is_mapping_of_parts,
        lambda given: Data(**given),
        lambda data, given: {name: getattr(data, name) for name in given},
    ),
    Container(lambda given: isinstance(given, Mapping), Data, lambda data, _: data.x),
    Container(lambda given: hasattr(given, "__array__"), Data, lambda data, _: data.x),
)


def _of_one_set(given: Any) -> Container:
    found = next((container for container in OF_ONE_SET if container.holds(given)), None)
    if found is None:
        once = " can be read only once;" if isinstance(given, Iterator) else " is not supported;"
        raise DataError(f"data of type {type(given).__name__}{once} pass {KINDS}")
    return found


def _data_of_pair(pair: Any) -> Data:
    training, validation = (_of_one_set(part).data(part) for part in pair)
    return replace(training, validation=validation)


def _back_to_pair(data: Data, given: Any) -> Any:
    validation = data.validation
    assert validation is not None
    sets = zip((replace(data, validation=None), validation), given, strict=True)
    return type(given)(_of_one_set(part).back(samples, part) for samples, part in sets)


# (training, validation); the value alone does not always separate it from (x, y): see is_pair.
PAIR = Container(may_be_pair, _data_of_pair, _back_to_pair)


# What a loop was given last, with its kind: cut to one batch, two sets may look like two inputs and two outputs.
_GIVEN_TO_LOOP: ContextVar[tuple[Any, Container] | None] = ContextVar("given_to_loop", default=None)


@contextmanager
def kept_kind(given: Any, container: Container) -> Iterator[None]:
    """Within it, ``given`` is of the kind ``container``, whatever its arrays look like."""
    token = _GIVEN_TO_LOOP.set((given, container))
    try:
        yield
    finally:
        _GIVEN_TO_LOOP.reset(token)


def container_of(given: Any, build_model: Callable[[], keras.Model]) -> Container:
    """The kind of ``given``; ``build_model`` decides where shapes alone do not.

    Raises:
        DataError: it is of no kind that is supported, or of two.
    """
    known = _GIVEN_TO_LOOP.get()
    if known is not None and known[0] is given:
        return known[1]
    return PAIR if is_pair(given, build_model) else _of_one_set(given)


def as_data(given: Any, build_model: Callable[[], keras.Model]) -> Data:
    """``given`` as :class:`Data`, without a look into data sets; see :func:`container_of`.

    Raises:
        DataError: it is of another kind, or its arrays do not fit together.
    """
    return container_of(given, build_model).data(given)
