"""Servers that a machine or a database delayed: none ends the runs of a live server."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from loopbench import spec
from loopbench.spec import RunState
from loopbench_server.errors import StoreFailedError
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.leases import reap_expired
from loopbench_server.runs.slots import Slots
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store

LEASE = timedelta(seconds=1)


@pytest.fixture
def here(store_url: str) -> Iterator[Store]:
    made = Store(open_database(store_url), owner="here", lease=LEASE)
    yield made
    made.close()


@pytest.fixture
def other(store_url: str) -> Iterator[Store]:
    made = Store(open_database(store_url), owner="there", lease=LEASE)
    yield made
    made.close()


@pytest.mark.parametrize("pause", ["machine", "database"])
async def test_a_late_server_lets_others_renew_first(
    *,
    pause: str,
    here: Store,
    other: Store,
    pool: Any,
    config: Any,
    observer: Any,
    make_run: Callable[..., spec.Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = RunExecutor(here, pool, Slots(1), config, observer)
    run = other.add(make_run())
    looking = asyncio.create_task(reap_expired(here, executor))
    await asyncio.sleep(0.2)
    if pause == "machine":
        time.sleep(2.5)  # noqa: ASYNC251  the loop is to stand still
    else:
        ended = here.reap_expired

        def fail(*_: Any, **__: Any) -> Any:
            raise StoreFailedError("away")

        monkeypatch.setattr(here, "reap_expired", fail)
        await asyncio.sleep(2.5)
        monkeypatch.setattr(here, "reap_expired", ended)
    # The other server, also delayed, renews a moment later.
    await asyncio.sleep(0.15)
    assert other.renew_leases([run.id]) == [run.id]
    await asyncio.sleep(0.5)
    assert not here.get(run.id).state.ended
    # A run without renewal is still ended.
    async with asyncio.timeout(20):
        while here.get(run.id).state is not RunState.FAILED:  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.05)
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


async def test_a_second_pause_lets_others_renew_as_the_first_does(
    *,
    here: Store,
    other: Store,
    pool: Any,
    config: Any,
    observer: Any,
    make_run: Callable[..., spec.Run],
) -> None:
    """The machine stands still again while the others have their time to renew."""
    executor = RunExecutor(here, pool, Slots(1), config, observer)
    run = other.add(make_run())
    looking = asyncio.create_task(reap_expired(here, executor))
    await asyncio.sleep(0.2)
    with capture_logs() as logged:
        for _ in range(2):
            time.sleep(2.5)  # noqa: ASYNC251  the loop is to stand still
            # Less time than the others have to renew.
            await asyncio.sleep(0.15)
        # The next look is late because of the second pause.
        async with asyncio.timeout(20):
            while len(logged) < 2:  # noqa: ASYNC110  there is no event
                await asyncio.sleep(0.01)
    assert [line["event"].partition(":")[0] for line in logged] == ["late poll for expired leases"] * 2
    assert other.renew_leases([run.id]) == [run.id]
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
