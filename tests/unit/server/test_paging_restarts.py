"""A list is complete although runs restart while a caller pages through it."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunFilter, RunSpec, RunState
from loopbench_server.errors import ServerLostError
from loopbench_server.runs.attempt import make_error
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.workers.protocol import Started, Trained

LOST = make_error(ServerLostError, "lost")
RUNS = 9


@pytest.fixture
def lost_runs(store: Store, make_run: Callable[..., spec.Run]) -> list[spec.Run]:
    runs = [
        make_run(
            number, state=RunState.FAILED, error=LOST, create_time=make_run().create_time + timedelta(seconds=number)
        )
        for number in range(RUNS)
    ]
    for run in runs:
        store.add(run)
    return runs


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("restarted", range(RUNS))
async def test_a_run_that_is_started_again_is_seen_once(
    scheduler: Scheduler, store: Store, lost_runs: list[spec.Run], size: int, restarted: int
) -> None:
    page, token = store.list(RunFilter(), size, "")
    seen = [run.id for run in page]
    run = lost_runs[restarted]
    again = await scheduler.submit(run.spec, run.request_id, "caller")
    assert (again.id, again.state) == (run.id, RunState.QUEUED)
    while token:
        page, token = store.list(RunFilter(), size, token)
        seen += [run.id for run in page]
    assert seen == [run.id for run in reversed(lost_runs)]


async def test_its_wait_is_that_of_the_last_attempt(
    scheduler: Scheduler, lost_runs: list[spec.Run], pool: Any, make_result: Any
) -> None:
    run = await scheduler.submit(RunSpec(), lost_runs[0].request_id, "caller")
    assert run.create_time == lost_runs[0].create_time
    worker = await pool.begun()
    worker.send(Started(monotonic=time.monotonic()))
    worker.send(Trained(result=make_result()), b"weights")
    ended = await scheduler.wait(run.id)
    assert ended.create_time == lost_runs[0].create_time
    assert ended.result is not None
    # The first attempt was in the year of the fixture.
    assert 0 <= ended.result.phases.queue_seconds < 3_600
