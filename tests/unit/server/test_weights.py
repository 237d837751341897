"""Weights as callers receive them."""

from collections.abc import Callable
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunState
from loopbench_server.errors import RunNotFoundError, WeightsNotStoredError
from loopbench_server.operations.weights import PART_BYTES, read_weights
from loopbench_server.store.store import Store
from tests.support.messages import UNKNOWN_ID


@pytest.fixture
def run(store: Store, make_run: Callable[..., spec.Run], make_result: Callable[..., spec.Result]) -> spec.Run:
    """A running run with a result, which is not stored yet."""
    run = make_run(state=RunState.RUNNING)
    store.add(run)
    return run.model_copy(update={"state": RunState.SUCCEEDED, "result": make_result()})


@pytest.mark.parametrize("size", [1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES - 1])
async def test_the_parts_make_the_file(store: Store, run: spec.Run, size: int) -> None:
    packed = bytes(number % 251 for number in range(size))
    store.update(run, packed)
    parts = [part async for part in read_weights(store, run.id)]
    assert b"".join(parts) == packed
    assert max(map(len, parts)) <= PART_BYTES


async def refusal(store: Store, run_id: str) -> Any:
    with pytest.raises((WeightsNotStoredError, RunNotFoundError)) as caught:
        _ = [part async for part in read_weights(store, run_id)]
    return caught.value


async def test_a_run_without_weights_is_refused_with_the_reason(store: Store, run: spec.Run) -> None:
    assert "is RUNNING and has no weights" in str(await refusal(store, run.id))
    store.update(run)
    assert "have been deleted" in str(await refusal(store, run.id))
    assert isinstance(await refusal(store, UNKNOWN_ID), RunNotFoundError)
