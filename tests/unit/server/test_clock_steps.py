"""The clock changes while a run waits or trains: no duration is negative, and no run ends before it began."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunSpec, RunState
from loopbench_server.runs.maintenance.cancel_requests import CANCELLED
from loopbench_server.runs.maintenance.leases import LOST
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.workers.protocol import Started, Trained

from .conftest import SetClock


@pytest.mark.parametrize("hours", [-2, 1])
async def test_durations_are_those_of_the_monotonic_clock(
    scheduler: Scheduler, pool: Any, make_result: Any, set_clock: SetClock, hours: int
) -> None:
    first = await scheduler.submit(RunSpec(), "a", "me")
    second = await scheduler.submit(RunSpec(), "b", "me")
    worker = await pool.begun()
    await asyncio.sleep(0.05)
    set_clock(timedelta(hours=hours))
    worker.send(Trained(result=make_result()))
    await scheduler.wait(first.id)
    worker = await pool.begun()
    worker.send(Started(monotonic=0.0))
    set_clock(timedelta(hours=hours))
    worker.send(Trained(result=make_result()))
    for run in (await scheduler.wait(first.id), await scheduler.wait(second.id)):
        assert run.start_time is not None
        assert run.end_time is not None
        assert run.create_time <= run.start_time <= run.end_time
        assert run.result is not None
        phases = run.result.phases
        assert 0 <= phases.queue_seconds < 60
        assert 0 <= phases.start_seconds < 60
    assert phases.queue_seconds >= 0.05


@pytest.mark.parametrize("started", [False, True])
def test_an_abandoned_run_does_not_end_before_it_began(
    expiring: Store, store: Store, make_run: Callable[..., spec.Run], started: bool
) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    fields = {"state": RunState.RUNNING, "start_time": later + timedelta(hours=1)} if started else {}
    run = expiring.add(make_run(create_time=later, **fields))
    assert len(store.reap_expired(LOST, CANCELLED)) == 1
    assert store.get(run.id).end_time == (run.start_time or run.create_time)
