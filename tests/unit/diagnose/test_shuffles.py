"""Two shuffles of the same kind never differ by chance, and a small buffer differs from a large one."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from loopbench_diagnose.orders import Order, Shuffle, describe

TRIES = 300


def _buffered(generator: np.random.Generator, count: int, buffer: int) -> NDArray[np.int64]:
    """One epoch by tf.data's rule: every pick is one of those in the buffer, which the next sample then refills."""
    held, order = list(range(min(buffer, count))), []
    for following in range(len(held), count + len(held)):
        order.append(held.pop(generator.integers(len(held))))
        if following < count:
            held.append(following)
    return np.asarray(order)


def _order(generator: np.random.Generator, count: int, buffer: int) -> Order:
    return describe([_buffered(generator, count, buffer) for _ in range(2)])


@pytest.mark.parametrize(
    ("count", "buffer"), [(11, 11), (31, 31), (101, 101), (101, 40), (101, 64), (307, 10), (307, 250)]
)
def test_the_same_buffer_is_never_told_apart(count: int, buffer: int) -> None:
    generator = np.random.default_rng(0)
    orders = [_order(generator, count, buffer) for _ in range(TRIES)]
    assert all(first.is_like(second) for first, second in pairwise(orders))


def test_a_whole_shuffle_is_never_taken_for_a_buffer() -> None:
    generator = np.random.default_rng(1)
    kinds = {_order(generator, count, count).shuffle for count in range(11, 111) for _ in range(10)}
    assert kinds == {Shuffle.FULL}


@pytest.mark.parametrize(("count", "buffer"), [(31, 4), (101, 40), (307, 150), (2_003, 1_000)])
def test_a_small_buffer_is_told_from_a_whole_shuffle(count: int, buffer: int) -> None:
    generator = np.random.default_rng(2)
    weak, whole = _order(generator, count, buffer), _order(generator, count, count)
    assert weak.shuffle is Shuffle.WEAK
    assert weak.is_weaker(whole)
    assert not weak.is_like(whole)


def test_two_buffers_are_told_apart() -> None:
    generator = np.random.default_rng(3)
    assert not _order(generator, 307, 30).is_like(_order(generator, 307, 100))
