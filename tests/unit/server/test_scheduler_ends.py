"""Early ends: cancelled runs, disconnected callers, server shutdown."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunSpec, RunState
from loopbench_server import errors
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.workers.protocol import Trained

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
HeldAdd = tuple[threading.Event, threading.Event]


async def submitted(scheduler: Scheduler, request: str) -> str:
    return (await scheduler.submit(RunSpec(), request, "me")).id


def get_reason(run: spec.Run) -> str:
    assert run.error is not None
    return run.error.reason


async def test_a_running_run_is_cancelled_with_its_process(
    scheduler: Scheduler, pool: Any, observer: Any, store: Store
) -> None:
    run_id = await submitted(scheduler, "r")
    worker = await pool.begun()
    waiting = asyncio.create_task(scheduler.wait(run_id))
    cancelled = await scheduler.cancel(run_id)
    assert worker.gone
    assert (cancelled.state, get_reason(cancelled)) == (RunState.CANCELLED, "RUN_CANCELLED")
    assert cancelled == store.get(run_id)
    with pytest.raises(errors.RunCancelledError):
        await waiting
    assert observer.seen[-1] == ("ended", RunState.CANCELLED, True)


async def test_a_queued_run_is_cancelled_without_a_process(
    scheduler: Scheduler, pool: Any, observer: Any, store: Store
) -> None:
    first = await submitted(scheduler, "a")
    await pool.begun()
    second = await submitted(scheduler, "b")
    cancelled = await scheduler.cancel(second)
    assert (cancelled.state, cancelled.start_time) == (RunState.CANCELLED, None)
    assert cancelled == store.get(second)
    assert observer.seen[-1] == ("ended", RunState.CANCELLED, False)
    await scheduler.cancel(first)
    assert len(pool.workers) == 1


async def test_cancelling_leaves_an_ended_run_as_it_is(
    scheduler: Scheduler, pool: Any, make_result: Callable[..., spec.Result]
) -> None:
    run_id = await submitted(scheduler, "r")
    (await pool.begun()).send(Trained(result=make_result()))
    ended = await scheduler.wait(run_id)
    assert await scheduler.cancel(run_id) == ended
    with pytest.raises(errors.RunNotFoundError):
        await scheduler.cancel("unknown")


async def attached(scheduler: Scheduler, request: str, entered: asyncio.Event | None = None) -> spec.Run:
    """Waits for a run as its caller does."""
    async with scheduler.attached(RunSpec(), request, "me") as run:
        if entered:
            entered.set()
        return await scheduler.wait(run.id)


async def add_caller(scheduler: Scheduler, request: str) -> asyncio.Task[spec.Run]:
    """Adds a caller that waits for the run of the request."""
    entered = asyncio.Event()
    waiting = asyncio.create_task(attached(scheduler, request, entered))
    await entered.wait()
    return waiting


async def gone(caller: asyncio.Task[spec.Run]) -> None:
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_run_ends_with_its_last_caller(
    scheduler: Scheduler, pool: Any, store: Store, eventually: Eventually
) -> None:
    callers = [await add_caller(scheduler, "r") for _ in range(2)]
    worker = await pool.begun()
    run_id = worker.task.run_id
    await gone(callers[0])
    assert (await scheduler.get(run_id)).state is RunState.RUNNING
    await gone(callers[1])
    await eventually(lambda: store.get(run_id).state.ended)
    assert worker.gone
    run = store.get(run_id)
    assert (run.state, get_reason(run)) == (RunState.CANCELLED, "CALLER_GONE")
    # The same request starts it again.
    assert await submitted(scheduler, "r") == run_id
    assert (await pool.begun()).task.run_id == run_id


async def test_a_remaining_caller_keeps_the_run(
    scheduler: Scheduler, pool: Any, make_result: Callable[..., spec.Result]
) -> None:
    stays, leaves = await add_caller(scheduler, "r"), await add_caller(scheduler, "r")
    worker = await pool.begun()
    await gone(leaves)
    worker.send(Trained(result=make_result()))
    assert (await stays).state is RunState.SUCCEEDED


@pytest.mark.parametrize("submitted_first", [False, True])
async def test_a_submitted_run_needs_no_caller(
    scheduler: Scheduler, pool: Any, make_result: Callable[..., spec.Result], *, submitted_first: bool
) -> None:
    if submitted_first:
        await submitted(scheduler, "r")
    caller = await add_caller(scheduler, "r")
    run_id = await submitted(scheduler, "r")
    worker = await pool.begun()
    await gone(caller)
    worker.send(Trained(result=make_result()))
    assert (await scheduler.wait(run_id)).state is RunState.SUCCEEDED


@pytest.fixture
def held_add(store: Store, monkeypatch: pytest.MonkeyPatch) -> HeldAdd:
    """Holds the write of new runs: one event reports its start, the other releases it."""
    entered, release, add = threading.Event(), threading.Event(), store.add

    def slow(run: spec.Run) -> spec.Run:
        entered.set()
        release.wait()
        return add(run)

    monkeypatch.setattr(store, "add", slow)
    return entered, release


@pytest.mark.parametrize("times", [1, 2])  # by its deadline, and then by its connection
async def test_a_disconnect_while_the_run_is_stored_cancels_it(
    scheduler: Scheduler, store: Store, held_add: HeldAdd, eventually: Eventually, times: int
) -> None:
    entered, release = held_add
    caller = asyncio.create_task(attached(scheduler, "r"))
    await eventually(entered.is_set)
    for _ in range(times):
        caller.cancel()
        await asyncio.sleep(0)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    run = store.find_request("r")
    assert run is not None
    await eventually(lambda: store.get(run.id).state.ended)
    assert get_reason(store.get(run.id)) == "CALLER_GONE"


async def test_a_run_cancelled_while_its_start_is_stored_stays_cancelled(
    scheduler: Scheduler, store: Store, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    entered, release, update = threading.Event(), threading.Event(), store.update

    def slow(run: spec.Run, packed_weights: bytes = b"") -> None:
        if run.state is RunState.RUNNING:
            entered.set()
            release.wait()
        update(run, packed_weights)

    monkeypatch.setattr(store, "update", slow)
    run_id = await submitted(scheduler, "r")
    await eventually(entered.is_set)
    cancelling = asyncio.create_task(scheduler.cancel(run_id))
    await asyncio.sleep(0)
    release.set()
    assert (await cancelling).state is RunState.CANCELLED
    assert store.get(run_id).state is RunState.CANCELLED


async def test_a_second_cancel_waits_for_the_same_end(scheduler: Scheduler, pool: Any) -> None:
    run_id = await submitted(scheduler, "r")
    worker = await pool.begun()
    pool.may_end.clear()
    cancels = [asyncio.create_task(scheduler.cancel(run_id)) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert not any(cancel.done() for cancel in cancels)
    assert not worker.gone
    pool.may_end.set()
    first, second = await asyncio.gather(*cancels)
    assert first == second
    assert worker.gone


async def test_draining_waits_for_a_run_that_is_being_stored(
    scheduler: Scheduler, store: Store, held_add: HeldAdd, eventually: Eventually
) -> None:
    entered, release = held_add
    submitting = asyncio.create_task(submitted(scheduler, "r"))
    await eventually(entered.is_set)
    draining = asyncio.create_task(scheduler.drain(0))
    await asyncio.sleep(0)
    release.set()
    await draining
    assert store.get(await submitting).state is RunState.CANCELLED
    assert (scheduler.running, scheduler.queued) == (0, 0)


async def test_only_an_ended_run_is_deleted(scheduler: Scheduler, pool: Any, store: Store) -> None:
    run_id = await submitted(scheduler, "r")
    with pytest.raises(errors.RunNotEndedError):
        await scheduler.delete(run_id)
    await pool.begun()
    with pytest.raises(errors.RunNotEndedError):
        await scheduler.delete(run_id)
    await scheduler.cancel(run_id)
    await scheduler.delete(run_id)
    with pytest.raises(errors.RunNotFoundError):
        await scheduler.delete(run_id)
    assert store.find_request("r") is None


async def test_draining_lets_running_runs_finish(
    scheduler: Scheduler, pool: Any, store: Store, make_result: Callable[..., spec.Result]
) -> None:
    running = await submitted(scheduler, "a")
    worker = await pool.begun()
    queued = await submitted(scheduler, "b")
    draining = asyncio.create_task(scheduler.drain(3600))
    with pytest.raises(errors.DrainingError):
        await scheduler.wait(queued)
    assert scheduler.draining
    assert (await scheduler.get(running)).state is RunState.RUNNING
    with pytest.raises(errors.DrainingError):
        await scheduler.submit(RunSpec(), "c", "me")
    # A repeated request is still answered.
    assert await submitted(scheduler, "a") == running
    worker.send(Trained(result=make_result()))
    await draining
    assert store.get(running).state is RunState.SUCCEEDED
    assert (store.get(queued).state, get_reason(store.get(queued))) == (RunState.CANCELLED, "SERVER_DRAINING")


async def test_draining_cancels_runs_after_its_deadline(scheduler: Scheduler, pool: Any, store: Store) -> None:
    run_id = await submitted(scheduler, "r")
    worker = await pool.begun()
    await scheduler.drain(0)
    assert worker.gone
    run = store.get(run_id)
    assert (run.state, get_reason(run)) == (RunState.CANCELLED, "SERVER_DRAINING")
    assert run.error is not None
    assert run.error.retryable


async def test_a_draining_server_has_nothing_to_wait_for(scheduler: Scheduler) -> None:
    await scheduler.drain(3600)
    assert scheduler.draining
