"""The containers in which users hold samples: each is turned into :class:`Data`, and back for the loops."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from loopbench_diagnose.data import PARTS, PIPELINES, Data, DataError, leaves

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


def _is_pair(given: Any) -> bool:
    """Whether it is (training, validation), and not (x, y) with several inputs and outputs."""
    if not isinstance(given, tuple | list) or len(given) != 2:  # noqa: PLR2004  a pair
        return False
    if isinstance(given[0], PIPELINES):
        return True
    if not all(isinstance(part, tuple | list) for part in given):
        return False
    lengths = [{len(leaf) for leaf in leaves(part)} for part in given]
    return all(len(found) == 1 for found in lengths) and lengths[0] != lengths[1]


def _is_mapping_of_parts(given: Any) -> bool:
    return isinstance(given, Mapping) and "x" in given and set(given) <= set(PARTS)


def _back_to_pair(data: Data, given: Any) -> Any:
    validation = data.validation
    assert validation is not None
    return type(given)((handed(replace(data, validation=None), given[0]), handed(validation, given[1])))


# The first that holds a value is its kind: what comes later is more general.
CONTAINERS: tuple[Container, ...] = (
    Container(lambda given: isinstance(given, Data), lambda given: given, lambda data, _: data),
    Container(lambda given: isinstance(given, PIPELINES), Data, lambda data, _: data.x),
    Container(_is_pair, lambda pair: replace(as_data(pair[0]), validation=as_data(pair[1])), _back_to_pair),
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


def _container(given: Any) -> Container:
    found = next((container for container in CONTAINERS if container.holds(given)), None)
    if found is None:
        once = " can be read only once;" if isinstance(given, Iterator) else " is not supported;"
        raise DataError(f"data of type {type(given).__name__}{once} pass {KINDS}")
    return found


def as_data(given: Any) -> Data:
    """``given`` as :class:`Data`, without a look into data sets.

    Raises:
        DataError: it is of another kind, or its arrays do not fit together.
    """
    return _container(given).data(given)


def handed(data: Data, given: Any) -> Any:
    """The samples of ``data`` in a container like ``given``."""
    return _container(given).back(data, given)
