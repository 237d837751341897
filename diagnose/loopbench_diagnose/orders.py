"""The order in which samples are trained on, and what kind of shuffle made it."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

# A uniform shuffle of n samples moves some sample forward by nearly n. A buffer of b moves none by more than b.
FULL_REACH = 0.8


class Shuffle(StrEnum):
    """Kinds of shuffling, the weakest first."""

    NONE = "not shuffled"
    ONCE = "shuffled once, the same order every epoch"
    WEAK = "shuffled within a buffer"
    FULL = "shuffled anew over all samples every epoch"


@dataclass(frozen=True)
class Order:
    """``reach`` is by how many places the farthest sample was moved to the front, ``digest`` a SHA-256."""

    shuffle: Shuffle
    reach: int
    digest: str


def describe(epochs: Sequence[NDArray[np.int64]]) -> Order:
    """What two or more epochs' orders, indices of samples, say of the shuffle."""
    first, second = epochs[0], epochs[1]
    reach = max(int((order - np.arange(len(order))).max(initial=0)) for order in epochs)
    tests = {
        Shuffle.NONE: bool((np.diff(first) > 0).all() and (np.diff(second) > 0).all()),
        Shuffle.ONCE: np.array_equal(first, second),
        Shuffle.WEAK: reach < FULL_REACH * max(len(first), int(first.max(initial=0)) + 1),
        Shuffle.FULL: True,
    }
    kind = next(kind for kind, holds in tests.items() if holds)
    data = b"".join(order.astype("<i4").tobytes() for order in epochs)
    return Order(kind, reach, hashlib.sha256(data).hexdigest())


def indices(rows: Sequence[bytes], known: Sequence[bytes]) -> NDArray[np.int64] | None:
    """Which of the ``known`` samples each of ``rows`` is, equal ones in turn; None where one is unknown."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for index, key in enumerate(known):
        places[key].append(index)
    taken: dict[bytes, int] = defaultdict(int)
    found = []
    for key in rows:
        if key not in places:
            return None
        found.append(places[key][taken[key] % len(places[key])])
        taken[key] += 1
    return np.asarray(found, np.int64)
