"""Replicas of a ``tf.distribute.Strategy``: each calls model, tape and optimizer on its share of a batch."""

from collections import Counter
from typing import Generic, TypeVar

import tensorflow as tf

Item = TypeVar("Item")

# Where the model is called beside ``Strategy.run``, or there is one replica alone.
OUTSIDE = -1


def replica() -> int:
    """The number of the replica that calls, or ``OUTSIDE``."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return OUTSIDE
    return int(tf.get_static_value(context.replica_id_in_sync_group))


class Shares(Generic[Item]):
    """Items in the order of a training, those together that the replicas make of one batch.

    Replicas do the same things in the same order, so the k-th item of one belongs to the k-th of every other.
    """

    def __init__(self) -> None:
        self.groups: list[list[Item]] = []
        self._shared: list[int] = []
        self._taken: Counter[int] = Counter()

    def place(self, number: int) -> int:
        """The group that the next item of a replica belongs to."""
        taken = self._taken[number]
        return self._shared[taken] if number != OUTSIDE and taken < len(self._shared) else len(self.groups)

    def add(self, item: Item, number: int) -> None:
        """Puts a replica's next item where it belongs."""
        place = self.place(number)
        if place == len(self.groups):
            self.groups.append([])
            if number != OUTSIDE:
                self._shared.append(place)
        self._taken[number] += 1
        self.groups[place].append(item)
