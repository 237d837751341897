import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbench_server.engine.batch_order import BatchOrder, shuffle_indices


def shuffle_with_buffer(count: int, buffer_size: int, generator: np.random.Generator) -> list[int]:
    """The textbook shuffle buffer: emit a slot, refill it with the next sample."""
    slots = generator.integers(0, buffer_size, size=count - buffer_size)
    buffer, emitted = list(range(buffer_size)), []
    for sample, slot in enumerate(slots, start=buffer_size):
        emitted.append(buffer[slot])
        buffer[slot] = sample
    return emitted + [int(sample) for sample in generator.permutation(buffer)]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_order_is_that_of_a_shuffle_buffer(count: int, buffer_size: int, seed: int) -> None:
    order = shuffle_indices(count, buffer_size, np.random.default_rng(seed))
    if buffer_size < count:
        assert order.tolist() == shuffle_with_buffer(count, buffer_size, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(count))
    # A sample cannot leave the buffer before it entered it.
    assert all(sample - position < buffer_size for position, sample in enumerate(order.tolist()))


def test_buffer_of_one_does_not_shuffle() -> None:
    assert shuffle_indices(5, 1, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("buffer_size", [0, 50, 51])
def test_whole_set_is_a_uniform_permutation(buffer_size: int) -> None:
    expected = np.random.default_rng(3).permutation(50)
    assert shuffle_indices(50, buffer_size, np.random.default_rng(3)).tolist() == expected.tolist()


def test_order_follows_from_seed_and_epoch_alone() -> None:
    first, second = BatchOrder(7, 100, 10), BatchOrder(7, 100, 10)
    assert np.array_equal(first.epoch(0), second.epoch(0))
    assert not np.array_equal(first.epoch(1), second.epoch(0))
    assert not np.array_equal(BatchOrder(8, 100, 10).epoch(0), BatchOrder(7, 100, 10).epoch(0))


def test_digest_is_of_the_orders_handed_out() -> None:
    order = BatchOrder(7, 100, 10)
    handed_out = [order.epoch(0), order.epoch(1)]
    expected = hashlib.sha256(b"".join(epoch.astype("<i4").tobytes() for epoch in handed_out)).hexdigest()
    assert order.digest() == expected
