"""The order in which samples are trained on: follows from the seed alone, the same for every method."""

import hashlib

import numpy as np
from numpy.typing import NDArray

# Keeps the draws for the order apart from those for the initial weights.
STREAM = 1


def shuffled(count: int, buffer_size: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Indices 0 … count - 1 as they leave a shuffle buffer that is filled in order, int32[count].

    The semantics are those of ``tf.data.Dataset.shuffle``: a random slot of the buffer is emitted and refilled with
    the next sample; at the end the buffer is emptied at random. ``buffer_size`` 0, or at least ``count``, shuffles
    the whole set uniformly.
    """
    if buffer_size == 0 or buffer_size >= count:
        return generator.permutation(count).astype(np.int32)
    slots = generator.integers(0, buffer_size, size=count - buffer_size)
    # A slot holds what its previous emission refilled it with, or at first the sample of its own number.
    by_slot = np.argsort(slots, kind="stable")
    repeats = slots[by_slot][1:] == slots[by_slot][:-1]
    emitted = slots.copy()
    emitted[by_slot[1:][repeats]] = buffer_size + by_slot[:-1][repeats]
    left = np.arange(buffer_size)
    left[slots] = buffer_size + np.arange(slots.size)
    return np.concatenate([emitted, generator.permutation(left)]).astype(np.int32)


class BatchOrder:
    """Hands out the order of each epoch and digests what it handed out.

    Args:
        seed: of the run.
        count: samples in the training set.
        buffer_size: samples in the shuffle buffer; 0 is the whole set.
    """

    def __init__(self, seed: int, count: int, buffer_size: int) -> None:
        self.count = count
        self._seed = seed
        self._buffer_size = buffer_size
        self._digest = hashlib.sha256()

    def drawn(self, epoch: int) -> NDArray[np.int32]:
        """The order of an epoch, counted from 0: int32[count]."""
        generator = np.random.default_rng([self._seed, STREAM, epoch])
        return shuffled(self.count, self._buffer_size, generator)

    def epoch(self, epoch: int) -> NDArray[np.int32]:
        """The same, which goes into the digest. To be asked for once an epoch, in turn."""
        order = self.drawn(epoch)
        self._digest.update(order.astype("<i4").tobytes())
        return order

    def digest(self) -> str:
        """SHA-256 of all orders handed out so far, in hexadecimal."""
        return self._digest.hexdigest()
