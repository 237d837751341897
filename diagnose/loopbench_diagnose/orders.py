"""The order in which samples are trained on, and what kind of shuffle made it."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

# What a shuffle does by chance more seldom than this, it does not do.
CHANCE = 1e-6
# Two buffers differ where one reaches less than this part of the other's way.
SAME_REACH = 0.8


class Shuffle(StrEnum):
    """Kinds of shuffling, the weakest first."""

    NONE = "not shuffled"
    ONCE = "shuffled once, the same order every epoch"
    WEAK = "shuffled within a buffer"
    FULL = "shuffled again over all samples every epoch"


# How far a buffer reaches differs by chance; between these two only a great difference says something.
BUFFERS = frozenset({Shuffle.WEAK, Shuffle.FULL})


@dataclass(frozen=True)
class Order:
    """``reach`` is by how many places the farthest sample was moved to the front, ``digest`` a SHA-256.

    ``fixed_batches`` says that every epoch has the same batches, in another order. ``samples`` is how many there are to
    choose from, ``places`` how many of them an epoch holds.
    """

    shuffle: Shuffle
    reach: int
    digest: str
    samples: int
    places: int
    fixed_batches: bool = False

    def is_like(self, other: "Order") -> bool:
        """Whether both may come of the same kind of shuffle."""
        if {self.shuffle, other.shuffle} <= BUFFERS:
            if self.fixed_batches != other.fixed_batches:
                return False
            return not (self.is_weaker(other) or other.is_weaker(self))
        return self.shuffle is other.shuffle

    def is_weaker(self, other: "Order") -> bool:
        """Whether the other's buffer, as far as it was seen to reach, would hardly ever reach as little as this one."""
        if self.reach >= SAME_REACH * other.reach:
            return False
        return _log_chance(self.reach, other.reach + 1, self.samples, self.places) < np.log(CHANCE)


def _log_chance(reach: int, buffer: int, samples: int, places: int) -> float:
    """Log of the chance that a buffer moves no sample by more than ``reach`` to the front, two epochs long.

    The pick for place i is one of min(buffer, samples less i), all with the same chance. Orders that reach no farther
    than r are those of a buffer of r + 1.
    """
    left = np.maximum(samples - np.arange(places), 1)
    return 2 * float((np.log(np.minimum(reach + 1, left)) - np.log(np.minimum(buffer, left))).sum())


def describe(epochs: Sequence[NDArray[np.int64]]) -> Order:
    """What two or more epochs' orders, indices of samples, say of the shuffle."""
    first, second = epochs[0], epochs[1]
    reach = max(int((order - np.arange(len(order))).max(initial=0)) for order in epochs)
    samples, places = max(len(first), *(int(order.max(initial=0)) + 1 for order in epochs)), len(first)
    tests = {
        Shuffle.NONE: bool((np.diff(first) > 0).all() and (np.diff(second) > 0).all()),
        Shuffle.ONCE: np.array_equal(first, second),
        Shuffle.WEAK: _log_chance(reach, samples, samples, places) < np.log(CHANCE),
        Shuffle.FULL: True,
    }
    kind = next(kind for kind, holds in tests.items() if holds)
    data = b"".join(order.astype("<i4").tobytes() for order in epochs)
    return Order(kind, reach, hashlib.sha256(data).hexdigest(), samples, places)


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
