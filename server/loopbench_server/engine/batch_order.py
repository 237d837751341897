"""Order of the training samples: it follows from the seed alone and is the same for every method."""

import hashlib

import numpy as np
from numpy.typing import NDArray

# Separates the random stream of the order from that of the initial weights.
STREAM = 1


def shuffle_indices(count: int, buffer_size: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Return the indices 0 … count - 1 in the order in which a shuffle buffer emits them, int32[count].

    The semantics are those of ``tf.data.Dataset.shuffle``: a random slot of the buffer is emitted and refilled with the
    next sample; at the end the buffer is emptied at random. With ``buffer_size`` 0, or at least ``count``, the whole
    set is shuffled uniformly.
    """
    if buffer_size == 0 or buffer_size >= count:
        return generator.permutation(count).astype(np.int32)
    slots = generator.integers(0, buffer_size, size=count - buffer_size)
    # A slot holds the sample that the previous emission put there, or at first the sample with its number.
    by_slot = np.argsort(slots, kind="stable")
    repeats = slots[by_slot][1:] == slots[by_slot][:-1]
    emitted = slots.copy()
    emitted[by_slot[1:][repeats]] = buffer_size + by_slot[:-1][repeats]
    left = np.arange(buffer_size)
    left[slots] = buffer_size + np.arange(slots.size)
    return np.concatenate([emitted, generator.permutation(left)]).astype(np.int32)


class BatchOrder:
    """Returns the order of each epoch and digests the orders that it returned.

    Args:
        seed: seed of the run.
        count: samples in the training set.
        buffer_size: samples in the shuffle buffer; 0 is the whole set.
    """

    def __init__(self, seed: int, count: int, buffer_size: int) -> None:
        self.count = count
        self._seed = seed
        self._buffer_size = buffer_size
        self._digest = hashlib.sha256()

    def draw(self, epoch: int) -> NDArray[np.int32]:
        """Return the order of an epoch, counted from 0: int32[count]."""
        generator = np.random.default_rng([self._seed, STREAM, epoch])
        return shuffle_indices(self.count, self._buffer_size, generator)

    def epoch(self, epoch: int) -> NDArray[np.int32]:
        """Return the same order and add it to the digest. Only once per epoch, in sequence."""
        order = self.draw(epoch)
        self._digest.update(order.astype("<i4").tobytes())
        return order

    def digest(self) -> str:
        """Return the SHA-256 of all orders returned so far, in hexadecimal."""
        return self._digest.hexdigest()
