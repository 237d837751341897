"""A scheduler and its store: ends that cannot be stored, and runs of another server."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunSpec, RunState
from loopbench_server import errors
from loopbench_server.blocking import run_blocking_reserved
from loopbench_server.runs import remote_runs as elsewhere_module
from loopbench_server.runs.attempt import now
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance import polling
from loopbench_server.runs.maintenance.leases import reap_expired, renew_leases
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.workers.protocol import Trained


async def submitted(scheduler: Scheduler, request: str) -> str:
    return (await scheduler.submit(RunSpec(), request, "me")).id


def get_reason(run: spec.Run) -> str:
    assert run.error is not None
    return run.error.reason


async def add_caller(scheduler: Scheduler, run_id: str) -> asyncio.Task[spec.Run]:
    """Adds a caller that waits for the run."""
    waiting = asyncio.create_task(scheduler.wait(run_id))
    await asyncio.sleep(0)
    return waiting


class TestStoreThatRefuses:
    @pytest.fixture(autouse=True)
    def _no_end_is_stored(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        update = store.update

        def refuse(run: spec.Run, packed_weights: bytes = b"") -> None:
            if run.state.ended:
                raise OSError("the disk is full")
            update(run, packed_weights)

        monkeypatch.setattr(store, "update", refuse)

    async def test_no_result_is_returned_before_it_is_stored(
        self,
        scheduler: Scheduler,
        pool: Any,
        observer: Any,
        make_result: Callable[..., spec.Result],
    ) -> None:
        run_id = await submitted(scheduler, "r")
        worker = await pool.begun()
        events = scheduler.watch(run_id)
        assert (await anext(events)).state is RunState.RUNNING
        waiting = await add_caller(scheduler, run_id)
        worker.send(Trained(result=make_result()))
        with pytest.raises(errors.StoreFailedError):
            await waiting
        last = [event async for event in events][-1]
        assert last.run is not None
        assert (last.state, get_reason(last.run)) == (RunState.FAILED, "STORE_FAILED")
        assert last.run.result is None
        assert observer.seen[-1] == ("ended", RunState.FAILED, True)

    async def test_the_next_run_has_its_slot(
        self, scheduler: Scheduler, pool: Any, make_result: Callable[..., spec.Result]
    ) -> None:
        await submitted(scheduler, "a")
        second = await submitted(scheduler, "b")
        (await pool.begun()).send(Trained(result=make_result()))
        assert (await pool.begun()).task.run_id == second


class TestRunsOfTheStore:
    """Runs that another server owns."""

    @pytest.fixture(autouse=True)
    def _polls_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(elsewhere_module, "POLL_INTERVAL_SECONDS", 0)

    async def test_an_ended_run_is_one_event(
        self, scheduler: Scheduler, store: Store, make_run: Callable[..., spec.Run], make_epoch: Callable[..., Any]
    ) -> None:
        store.add(make_run(state=RunState.RUNNING))
        run = make_run(state=RunState.CANCELLED)
        store.add_epoch(run.id, make_epoch(1))
        store.update(run)
        events = [event async for event in scheduler.watch(run.id)]
        assert events == [spec.RunEvent(state=RunState.CANCELLED, epochs=(make_epoch(1),), run=run)]
        with pytest.raises(errors.RunNotFoundError):
            await anext(scheduler.watch("unknown"))

    async def test_a_run_of_another_server_is_followed(
        self, scheduler: Scheduler, store: Store, make_run: Callable[..., spec.Run], make_epoch: Callable[..., Any]
    ) -> None:
        run = store.add(make_run(state=RunState.RUNNING))
        store.add_epoch(run.id, make_epoch(1))
        waiting = await add_caller(scheduler, run.id)
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
        self,
        *,
        executor: RunExecutor,
        store: Store,
        make_run: Callable[..., spec.Run],
        eventually: Callable[[Callable[[], bool]], Awaitable[None]],
        expiring: Store,
        observer: Any,
    ) -> None:
        mine, lost = store.add(make_run(1)), expiring.add(make_run(2))
        tasks = [asyncio.create_task(work) for work in (renew_leases(store, executor), reap_expired(store, executor))]
        await eventually(lambda: ("abandoned", 1) in observer.seen)
        for task in tasks:
            task.cancel()
        assert get_reason(store.get(lost.id)) == "SERVER_LOST"
        assert store.get(mine.id) == mine

    async def test_a_lease_is_renewed_several_times_before_it_expires(
        self,
        *,
        executor: RunExecutor,
        pool: Any,
        store: Store,
        there: Store,
        make_run: Callable[..., spec.Run],
        make_result: Callable[..., spec.Result],
        eventually: Callable[[Callable[[], bool]], Awaitable[None]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(0.001)

        monkeypatch.setattr(polling, "asyncio", SimpleNamespace(sleep=sleep))
        lease = store.lease
        monkeypatch.setattr(store, "lease", timedelta(seconds=-1))
        active = executor.enqueue(store.add(make_run()), "me")
        worker = await pool.begun()
        await eventually(lambda: store.get(make_run().id).state is RunState.RUNNING)
        # The lease has expired; the next renewal is due.
        monkeypatch.setattr(store, "lease", lease)
        keeping = asyncio.create_task(renew_leases(store, executor))
        await eventually(lambda: len(pauses) >= 2)
        keeping.cancel()
        lost = spec.RunError(reason="SERVER_LOST", message="gone")
        assert there.reap_expired(lost, lost) == []
        assert max(pauses) <= lease.total_seconds() / 3
        worker.send(Trained(result=make_result()))
        assert (await active.wait_ended()).state is RunState.SUCCEEDED

    async def test_the_leases_of_runs_that_wait_for_a_slot_are_renewed_too(
        self,
        *,
        executor: RunExecutor,
        store: Store,
        make_run: Callable[..., spec.Run],
        eventually: Callable[[Callable[[], bool]], Awaitable[None]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        renewed: list[set[str]] = []
        monkeypatch.setattr(store, "renew_leases", lambda ids: renewed.append({*ids}) or ids)  # type: ignore[func-returns-value]  # None
        run_ids = {executor.enqueue(store.add(make_run(number)), "me").run.id for number in (1, 2)}
        keeping = asyncio.create_task(renew_leases(store, executor))
        await eventually(lambda: bool(renewed))
        keeping.cancel()
        assert renewed[0] == run_ids

    async def test_leases_are_kept_by_a_database_that_refused_once(
        self, executor: RunExecutor, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: asyncio.Queue[None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def refuse(_: object) -> None:
            loop.call_soon_threadsafe(asked.put_nowait, None)
            raise errors.StoreFailedError("locked")

        monkeypatch.setattr(store, "lease", timedelta(0))
        monkeypatch.setattr(store, "renew_leases", refuse)
        keeping = asyncio.create_task(renew_leases(store, executor))
        for _ in range(3):
            await asked.get()
        keeping.cancel()

    async def test_a_request_that_another_server_stores_meanwhile_is_its_run(
        self, scheduler: Scheduler, store: Store, pool: Any, monkeypatch: pytest.MonkeyPatch, expiring: Store
    ) -> None:
        theirs = spec.Run(id="t", request_id="r", spec=RunSpec(), state=RunState.QUEUED, create_time=now())
        expiring.add(theirs)
        answers = iter([None, theirs])
        monkeypatch.setattr(store, "find_request", lambda _: next(answers))
        assert await scheduler.submit(RunSpec(), "r", "me") == theirs
        assert not pool.workers

    async def test_a_run_that_another_server_restarted_is_not_overwritten(
        self, store: Store, expiring: Store, make_run: Callable[..., spec.Run]
    ) -> None:
        mine = store.add(make_run(state=RunState.RUNNING))
        failed = make_run(state=RunState.FAILED)
        store.update(failed)
        again = make_run(state=RunState.QUEUED)
        assert expiring.restart(again)
        assert not store.restart(again)
        with pytest.raises(errors.ServerLostError):
            store.update(make_run(state=RunState.SUCCEEDED))
        assert store.get(mine.id) == again


async def test_cancellations_of_runs_elsewhere_leave_threads_to_the_leases(
    scheduler: Scheduler, store: Store, there: Store, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database does not respond to the cancellations."""
    run, may_end = there.add(make_run()), threading.Event()
    monkeypatch.setattr(store, "request_cancel", lambda _: may_end.wait())
    cancelling = [asyncio.create_task(scheduler.cancel(run.id)) for _ in range(20)]
    try:
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(run_blocking_reserved(abs, -1), 10) == 1
    finally:
        may_end.set()
        for task in cancelling:
            task.cancel()
        await asyncio.gather(*cancelling, return_exceptions=True)
