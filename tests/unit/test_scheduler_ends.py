"""Ends that nobody planned: runs cancelled, callers gone, servers shut down, stores that refuse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from loopbench import spec
from loopbench.spec import RunSpec, RunState
from loopbench_server import errors
from loopbench_server.runs import scheduler as scheduler_module
from loopbench_server.runs.messages import Trained
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.runs.store import Store

MakeScheduler = Callable[..., Scheduler]
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
async def scheduler(make_scheduler: MakeScheduler) -> AsyncIterator[Scheduler]:
    yield make_scheduler()


async def submitted(scheduler: Scheduler, request: str, *, detach: bool = True) -> str:
    return (await scheduler.submit(RunSpec(), request, detach=detach)).id


def reason_of(run: spec.Run) -> str:
    assert run.error is not None
    return run.error.reason


async def test_a_running_run_is_cancelled_with_its_process(
    scheduler: Scheduler, processes: Any, observer: Any, store: Store
) -> None:
    run_id = await submitted(scheduler, "r")
    worker = await processes.begun()
    waiting = asyncio.create_task(scheduler.wait(run_id))
    cancelled = await scheduler.cancel(run_id)
    assert worker.gone
    assert (cancelled.state, reason_of(cancelled)) == (RunState.CANCELLED, "RUN_CANCELLED")
    assert cancelled == store.get(run_id)
    with pytest.raises(errors.RunCancelledError):
        await waiting
    assert observer.seen[-1] == ("ended", RunState.CANCELLED, True)


async def test_a_queued_run_is_cancelled_without_a_process(
    scheduler: Scheduler, processes: Any, observer: Any, store: Store
) -> None:
    first = await submitted(scheduler, "a")
    await processes.begun()
    second = await submitted(scheduler, "b")
    cancelled = await scheduler.cancel(second)
    assert (cancelled.state, cancelled.start_time) == (RunState.CANCELLED, None)
    assert cancelled == store.get(second)
    assert observer.seen[-1] == ("ended", RunState.CANCELLED, False)
    await scheduler.cancel(first)
    assert len(processes.workers) == 1


async def test_cancelling_leaves_an_ended_run_as_it_is(
    scheduler: Scheduler, processes: Any, make_result: Callable[..., spec.Result]
) -> None:
    run_id = await submitted(scheduler, "r")
    (await processes.begun()).send(Trained(result=make_result()))
    ended = await scheduler.wait(run_id)
    assert await scheduler.cancel(run_id) == ended
    with pytest.raises(errors.RunNotFoundError):
        await scheduler.cancel("unknown")


async def abandoned(scheduler: Scheduler, run_id: str) -> asyncio.Task[spec.Run]:
    """A caller that waits."""
    waiting = asyncio.create_task(scheduler.wait(run_id))
    await asyncio.sleep(0)
    return waiting


async def gone(caller: asyncio.Task[spec.Run]) -> None:
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_run_ends_with_its_last_caller(
    scheduler: Scheduler, processes: Any, store: Store, eventually: Eventually
) -> None:
    run_id = await submitted(scheduler, "r", detach=False)
    worker = await processes.begun()
    callers = [await abandoned(scheduler, run_id) for _ in range(2)]
    await gone(callers[0])
    assert (await scheduler.get(run_id)).state is RunState.RUNNING
    await gone(callers[1])
    await eventually(lambda: store.get(run_id).state.ended)
    assert worker.gone
    run = store.get(run_id)
    assert (run.state, reason_of(run)) == (RunState.CANCELLED, "CALLER_GONE")
    # Asked for again, it runs again.
    assert await submitted(scheduler, "r") == run_id
    assert (await processes.begun()).task.run_id == run_id


async def test_a_caller_that_stays_keeps_the_run(
    scheduler: Scheduler, processes: Any, make_result: Callable[..., spec.Result]
) -> None:
    run_id = await submitted(scheduler, "r", detach=False)
    worker = await processes.begun()
    stays, leaves = await abandoned(scheduler, run_id), await abandoned(scheduler, run_id)
    await gone(leaves)
    worker.send(Trained(result=make_result()))
    assert (await stays).state is RunState.SUCCEEDED


@pytest.mark.parametrize("detached_later", [False, True])
async def test_a_detached_run_needs_no_caller(
    scheduler: Scheduler, processes: Any, make_result: Callable[..., spec.Result], *, detached_later: bool
) -> None:
    run_id = await submitted(scheduler, "r", detach=not detached_later)
    worker = await processes.begun()
    caller = await abandoned(scheduler, run_id)
    if detached_later:
        await submitted(scheduler, "r", detach=True)
    await gone(caller)
    worker.send(Trained(result=make_result()))
    assert (await scheduler.wait(run_id)).state is RunState.SUCCEEDED


async def test_only_an_ended_run_is_deleted(scheduler: Scheduler, processes: Any, store: Store) -> None:
    run_id = await submitted(scheduler, "r")
    with pytest.raises(errors.RunNotEndedError):
        await scheduler.delete(run_id)
    await processes.begun()
    with pytest.raises(errors.RunNotEndedError):
        await scheduler.delete(run_id)
    await scheduler.cancel(run_id)
    await scheduler.delete(run_id)
    with pytest.raises(errors.RunNotFoundError):
        await scheduler.delete(run_id)
    assert store.find_request("r") is None


async def test_draining_lets_running_runs_finish(
    scheduler: Scheduler, processes: Any, store: Store, make_result: Callable[..., spec.Result]
) -> None:
    running = await submitted(scheduler, "a")
    worker = await processes.begun()
    queued = await submitted(scheduler, "b")
    draining = asyncio.create_task(scheduler.drain(3600))
    with pytest.raises(errors.DrainingError):
        await scheduler.wait(queued)
    assert scheduler.draining
    assert (await scheduler.get(running)).state is RunState.RUNNING
    with pytest.raises(errors.DrainingError):
        await scheduler.submit(RunSpec(), "c", detach=True)
    # A request that is there already is still answered.
    assert await submitted(scheduler, "a") == running
    worker.send(Trained(result=make_result()))
    await draining
    assert store.get(running).state is RunState.SUCCEEDED
    assert (store.get(queued).state, reason_of(store.get(queued))) == (RunState.CANCELLED, "SERVER_DRAINING")


async def test_draining_ends_what_takes_too_long(scheduler: Scheduler, processes: Any, store: Store) -> None:
    run_id = await submitted(scheduler, "r")
    worker = await processes.begun()
    await scheduler.drain(0)
    assert worker.gone
    run = store.get(run_id)
    assert (run.state, reason_of(run)) == (RunState.CANCELLED, "SERVER_DRAINING")
    assert run.error is not None
    assert run.error.retryable


async def test_a_draining_server_has_nothing_to_wait_for(scheduler: Scheduler) -> None:
    await scheduler.drain(3600)
    assert scheduler.draining


class TestStoreThatRefuses:
    @pytest.fixture
    def refusing(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
        """Stores no end of a run."""
        update = store.update

        def refuse(run: spec.Run, packed_weights: bytes = b"") -> None:
            if run.state.ended:
                raise OSError("the disk is full")
            update(run, packed_weights)

        monkeypatch.setattr(store, "update", refuse)
        return store

    async def test_no_result_is_told_that_is_not_stored(
        self,
        make_scheduler: MakeScheduler,
        refusing: Store,
        processes: Any,
        observer: Any,
        make_result: Callable[..., spec.Result],
    ) -> None:
        scheduler = make_scheduler(in_store=refusing)
        run_id = await submitted(scheduler, "r")
        worker = await processes.begun()
        events = scheduler.watch(run_id)
        assert (await anext(events)).state is RunState.RUNNING
        waiting = await abandoned(scheduler, run_id)
        worker.send(Trained(result=make_result()))
        with pytest.raises(errors.StoreFailedError):
            await waiting
        last = [event async for event in events][-1]
        assert last.run is not None
        assert (last.state, reason_of(last.run)) == (RunState.FAILED, "STORE_FAILED")
        assert last.run.result is None
        assert observer.seen[-1] == ("ended", RunState.FAILED, True)

    async def test_the_next_run_has_its_slot(
        self, make_scheduler: MakeScheduler, refusing: Store, processes: Any, make_result: Callable[..., spec.Result]
    ) -> None:
        scheduler = make_scheduler(in_store=refusing)
        await submitted(scheduler, "a")
        second = await submitted(scheduler, "b")
        (await processes.begun()).send(Trained(result=make_result()))
        assert (await processes.begun()).task.run_id == second


class TestRunsOfTheStore:
    """Runs that this server does not work on."""

    @pytest.fixture(autouse=True)
    def _polls_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scheduler_module, "SECONDS_BETWEEN_POLLS", 0)

    async def test_an_ended_run_is_one_event(
        self, scheduler: Scheduler, store: Store, make_run: Callable[..., spec.Run], make_epoch: Callable[..., Any]
    ) -> None:
        run = store.add(make_run(state=RunState.CANCELLED))
        store.add_epoch(run.id, make_epoch(1))
        events = [event async for event in scheduler.watch(run.id)]
        assert events == [spec.RunEvent(state=RunState.CANCELLED, epochs=(make_epoch(1),), run=run)]
        with pytest.raises(errors.RunNotFoundError):
            await anext(scheduler.watch("unknown"))

    async def test_a_run_of_another_server_is_followed(
        self, scheduler: Scheduler, store: Store, make_run: Callable[..., spec.Run], make_epoch: Callable[..., Any]
    ) -> None:
        run = store.add(make_run(state=RunState.RUNNING))
        store.add_epoch(run.id, make_epoch(1))
        waiting = await abandoned(scheduler, run.id)
        events = scheduler.watch(run.id)
        assert await anext(events) == spec.RunEvent(state=RunState.RUNNING, epochs=(make_epoch(1),), run=run)
        for number in (2, 3):
            store.add_epoch(run.id, make_epoch(number))
        assert await anext(events) == spec.RunEvent(state=RunState.RUNNING, epochs=(make_epoch(2), make_epoch(3)))
        ended = make_run(state=RunState.SUCCEEDED)
        store.update(ended)
        assert [event async for event in events][-1] == spec.RunEvent(state=RunState.SUCCEEDED, run=ended)
        assert await waiting == ended
        with pytest.raises(errors.RunNotFoundError):
            await scheduler.wait("unknown")

    async def test_leases_are_kept(
        self, scheduler: Scheduler, store: Store, make_run: Callable[..., spec.Run], eventually: Eventually, lapse: Any
    ) -> None:
        mine, lost = store.add(make_run(1)), lapse(make_run(2))
        keeping = asyncio.create_task(scheduler.keep_leases())
        await eventually(lambda: store.get(lost.id).state.ended)
        keeping.cancel()
        assert reason_of(store.get(lost.id)) == "SERVER_LOST"
        assert store.get(mine.id) == mine
