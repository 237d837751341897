"""Writes that are retried during a database outage."""

import asyncio
from datetime import timedelta

import pytest

from loopbench_server.errors import StoreFailedError
from loopbench_server.store import retry
from loopbench_server.store.retry import retry_until


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_INTERVAL_SECONDS", 0.01)


async def test_a_write_is_given_up_after_a_lease() -> None:
    tries = []

    def write() -> None:
        tries.append(1)
        raise StoreFailedError("locked")

    with pytest.raises(StoreFailedError):
        await asyncio.wait_for(retry_until(timedelta(seconds=0.1), write), 30)
    assert len(tries) > 1


async def test_a_retried_write_is_not_lost() -> None:
    tries = []

    def write(value: int) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise StoreFailedError("locked")
        return value

    assert await retry_until(timedelta(seconds=30), write, 7) == 7
