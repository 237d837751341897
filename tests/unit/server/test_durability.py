"""Runs during database outages, runs of other servers, and retention."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from pydantic_settings import CliApp

from loopbench import spec
from loopbench.spec import EvaluationRequest, RunError, RunSpec, RunState
from loopbench_server import errors
from loopbench_server.config import Settings
from loopbench_server.operations.evaluate import Evaluator
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.runs import remote_runs
from loopbench_server.runs.attempt import now
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance import cancel_requests, retention
from loopbench_server.runs.maintenance.cancel_requests import poll_cancel_requests
from loopbench_server.runs.maintenance.retention import Retention, enforce_retention, make_retention
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.runs.slots import Slots
from loopbench_server.store import retry
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig, WorkerLimits
from loopbench_server.workers.limits import get_private_memory
from loopbench_server.workers.protocol import EpochEnded, Trained

MakeRun = Callable[..., spec.Run]
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
LOST = RunError(reason="SERVER_LOST", message="gone", retryable=True)
CANCELLED = RunError(reason="RUN_CANCELLED", message="on request")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(remote_runs, "POLL_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(cancel_requests, "POLL_INTERVAL_SECONDS", 0)


class TestDatabaseThatComesBack:
    @pytest.fixture
    def refusals(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Writes that will be refused, each once."""
        pending: list[str] = []

        def refusing(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
            def attempted(*args: Any) -> Any:
                if name in pending:
                    pending.remove(name)
                    raise errors.StoreFailedError("away")
                return write(*args)

            return attempted

        for name in ("update", "add_epoch"):
            monkeypatch.setattr(store, name, refusing(name, getattr(store, name)))
        return pending

    async def test_loses_nothing(
        self,
        *,
        scheduler: Scheduler,
        store: Store,
        pool: Any,
        refusals: list[str],
        make_result: Callable[..., spec.Result],
        make_epoch: Callable[..., spec.EpochRecord],
    ) -> None:
        run = await scheduler.submit(RunSpec(), "r", "me")
        refusals += ["update", "add_epoch", "add_epoch"]
        worker = await pool.begun()
        worker.send(EpochEnded(record=make_epoch(1)))
        worker.send(Trained(result=make_result()), b"weights")
        refusals.append("update")
        ended = await scheduler.wait(run.id)
        assert not refusals
        assert store.get(run.id) == ended
        assert store.get_epochs(run.id) == (make_epoch(1),)
        assert store.get_weights(run.id) == b"weights"


class TestConfirmationThatIsLost:
    """The database commits but its response is lost, so the server retries the write."""

    def test_an_epoch_is_stored_once(self, store: Store, make_run: MakeRun, make_epoch: Any) -> None:
        run = store.add(make_run(state=RunState.RUNNING))
        for _ in range(2):
            store.add_epoch(run.id, make_epoch(1))
        assert store.get_epochs(run.id) == (make_epoch(1),)

    async def test_the_caller_gets_the_stored_run(
        self, scheduler: Scheduler, store: Store, pool: Any, monkeypatch: pytest.MonkeyPatch, make_result: Any
    ) -> None:
        update = store.update

        def commit_and_fail(run: spec.Run, packed_weights: bytes = b"") -> None:
            update(run, packed_weights)
            if run.state.ended:
                raise errors.StoreFailedError("the connection broke")

        run = await scheduler.submit(RunSpec(), "r", "me")
        monkeypatch.setattr(store, "update", commit_and_fail)
        (await pool.begun()).send(Trained(result=make_result()), b"weights")
        ended = await scheduler.wait(run.id)
        assert (ended.state, ended.result is not None) == (RunState.SUCCEEDED, True)
        assert store.get(run.id) == ended


class TestServerThatWasTakenForDead:
    async def test_its_callers_get_an_error_for_the_lost_run(
        self, scheduler: Scheduler, store: Store, expiring: Store, pool: Any, make_result: Any
    ) -> None:
        run = await scheduler.submit(RunSpec(), "r", "me")
        worker = await pool.begun()
        store.update(run.model_copy(update={"state": RunState.FAILED, "error": LOST}))
        expiring.restart(run)  # by the other server, which runs it
        worker.send(Trained(result=make_result()))
        with pytest.raises(errors.ServerLostError):
            await scheduler.wait(run.id)
        assert store.get(run.id).state is RunState.QUEUED

    def test_cannot_add_to_a_run_that_is_another_servers(
        self, store: Store, there: Store, make_run: MakeRun, make_epoch: Any
    ) -> None:
        there.add(make_run(state=RunState.RUNNING))
        with pytest.raises(errors.ServerLostError):
            store.add_epoch(make_run().id, make_epoch(1))
        assert store.get_epochs(make_run().id) == ()


class TestRunsElsewhere:
    async def test_are_cancelled_by_their_server(
        self, scheduler: Scheduler, store: Store, there: Store, make_run: MakeRun
    ) -> None:
        run = there.add(make_run(state=RunState.RUNNING))
        cancelling = asyncio.create_task(scheduler.cancel(run.id))
        while not there.list_cancel_requests():  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0)
        assert store.list_cancel_requests() == []
        ended = make_run(state=RunState.CANCELLED, error=CANCELLED)
        there.update(ended)
        assert await cancelling == ended

    async def test_of_a_dead_server_are_cancelled(self, store: Store, expiring: Store, make_run: MakeRun) -> None:
        for number in (1, 2):
            expiring.add(make_run(number, state=RunState.RUNNING))
        store.request_cancel(make_run(1).id)
        ids = {(make_run(number).id, make_run(number).request_id) for number in (1, 2)}
        assert {*store.reap_expired(LOST, CANCELLED)} == ids
        ends = [store.get(make_run(number).id) for number in (1, 2)]
        assert [(run.state, run.error) for run in ends] == [(RunState.CANCELLED, CANCELLED), (RunState.FAILED, LOST)]

    async def test_are_cancelled_on_request_of_another_server(
        self, executor: RunExecutor, store: Store, there: Store, pool: Any, make_run: MakeRun
    ) -> None:
        active = executor.enqueue(store.add(make_run()), "me")
        worker = await pool.begun()
        heeding = asyncio.create_task(poll_cancel_requests(store, executor))
        there.request_cancel(make_run().id)
        ended = await active.wait_ended()
        heeding.cancel()
        assert ended.error is not None
        assert (ended.state, ended.error.reason) == (RunState.CANCELLED, "RUN_CANCELLED")
        assert worker.gone

    async def test_that_restart_or_vanish_fail_their_waiting_callers(
        self, scheduler: Scheduler, there: Store, make_run: MakeRun, store_url: str
    ) -> None:
        first = there.add(make_run(1, state=RunState.RUNNING, start_time=now()))
        second = there.add(make_run(2, state=RunState.RUNNING, start_time=now()))
        # Read here before they change.
        followed = [scheduler.watch(run.id) for run in (first, second)]
        for events in followed:
            await anext(events)
        waiting = [asyncio.create_task(scheduler.wait(run.id)) for run in (first, second)]
        await asyncio.sleep(0)
        there.update(first.model_copy(update={"start_time": now()}))
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as database, database:
            database.execute("DELETE FROM runs WHERE id = ?", (second.id,))
        with pytest.raises(errors.ServerLostError):
            await waiting[0]
        with pytest.raises(errors.RunNotFoundError):
            await waiting[1]

    async def test_cancelled_for_another_caller_can_be_requested_again(
        self, scheduler: Scheduler, there: Store, make_run: MakeRun
    ) -> None:
        run = there.add(make_run(state=RunState.RUNNING))
        # Read here before it changes.
        events = scheduler.watch(run.id)
        await anext(events)
        waiting = asyncio.create_task(scheduler.wait(run.id))
        await asyncio.sleep(0)
        gone = RunError(reason="CALLER_GONE", message="away", retryable=True)
        there.update(make_run(state=RunState.CANCELLED, error=gone))
        with pytest.raises(errors.ServerLostError):
            await waiting


class TestRetention:
    async def test_deletes_old_runs(
        self,
        store: Store,
        executor: RunExecutor,
        config: WorkerConfig,
        make_run: MakeRun,
        eventually: Eventually,
    ) -> None:
        def ended(number: int, days_ago: float) -> str:
            run = store.add(make_run(number, state=RunState.RUNNING))
            end = now() - timedelta(days=days_ago)
            store.update(make_run(number, state=RunState.SUCCEEDED, end_time=end), b"weights")
            config.log_dir(run.id).mkdir(parents=True)
            return run.id

        old, recent, new = ended(1, 40), ended(2, 20), ended(3, 1)
        under_way = store.add(make_run(4)).id
        policy = Retention(runs=timedelta(days=30), weights=timedelta(days=10))
        tidying = asyncio.create_task(enforce_retention(store, executor, policy))
        await eventually(lambda: not config.log_dir(old).exists())
        tidying.cancel()
        with pytest.raises(errors.RunNotFoundError):
            store.get(old)
        assert [store.get_weights(run_id) for run_id in (recent, new)] == [None, b"weights"]
        assert {store.get(run_id).id for run_id in (recent, new, under_way)} == {recent, new, under_way}
        assert config.log_dir(recent).exists()

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            (["--keep-runs-days", "30", "--keep-weights-days", "10"], Retention(timedelta(30), timedelta(10))),
            (["--keep-runs-days", "0.5"], Retention(runs=timedelta(hours=12))),
            (["--keep-weights-days", "2"], Retention(weights=timedelta(2))),
            ([], Retention()),
        ],
    )
    def test_follows_the_flags(self, flags: list[str], expected: Retention) -> None:
        assert make_retention(CliApp.run(Settings, cli_args=flags)) == expected

    async def test_keeps_everything_without_a_policy(self, store: Store, executor: RunExecutor) -> None:
        await enforce_retention(store, executor, Retention())

    async def test_survives_a_database_that_refuses(
        self, store: Store, executor: RunExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = asyncio.Queue[None]()
        loop = asyncio.get_running_loop()

        def refuse(_: object) -> None:
            loop.call_soon_threadsafe(asked.put_nowait, None)
            raise errors.StoreFailedError("away")

        monkeypatch.setattr(store, "delete_old_runs", refuse)
        monkeypatch.setattr(retention, "POLL_INTERVAL_SECONDS", 0)
        tidying = asyncio.create_task(enforce_retention(store, executor, Retention(runs=timedelta(days=1))))
        for _ in range(3):
            await asked.get()
        tidying.cancel()


class TestBounds:
    async def test_each_caller_has_a_limit(self, make_scheduler: Callable[..., Scheduler], pool: Any) -> None:
        scheduler = make_scheduler(slots=1, queue_size=10, caller_runs=2)
        for request in ("a", "b"):
            await scheduler.submit(RunSpec(), request, "greedy")
        with pytest.raises(errors.CallerLimitError):
            await scheduler.submit(RunSpec(), "c", "greedy")
        await scheduler.submit(RunSpec(), "c", "modest")
        # It may repeat a request that it already has.
        assert (await scheduler.submit(RunSpec(), "a", "greedy")).request_id == "a"
        dying = await pool.begun()
        dying.die()
        with pytest.raises(errors.WorkerLostError):
            await scheduler.wait(dying.task.run_id)
        await scheduler.submit(RunSpec(), "d", "greedy")

    async def test_waiting_evaluations_are_limited(
        self, store: Store, pool: Any, config: WorkerConfig, make_run: MakeRun, make_result: Any
    ) -> None:
        store.add(make_run(state=RunState.RUNNING))
        store.update(make_run(state=RunState.SUCCEEDED, result=make_result()), b"weights")
        evaluations = Evaluator(store, TaskRunner(pool, 1, 1, config.limits), config)
        request = EvaluationRequest(run_id=make_run().id)
        first = asyncio.create_task(evaluations.evaluate(request))
        await pool.begun()
        others = [asyncio.create_task(evaluations.evaluate(request)) for _ in range(2)]
        # The first one waits; the other is refused.
        (refused,), (waiting,) = await asyncio.wait(others, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(refused.exception(), errors.QueueFullError)
        for task in (first, waiting):
            task.cancel()
        await asyncio.gather(first, waiting, return_exceptions=True)

    @pytest.mark.parametrize(
        ("limits", "error"),
        [
            (WorkerLimits(seconds=0.05, megabytes=100_000), errors.TimeExceededError),
            (WorkerLimits(seconds=60, megabytes=1), errors.MemoryExceededError),
        ],
    )
    async def test_a_process_that_exceeds_them_is_killed(
        self,
        *,
        limits: WorkerLimits,
        error: type[errors.LoopbenchServerError],
        store: Store,
        pool: Any,
        config: Any,
        observer: Any,
    ) -> None:
        bounded = WorkerConfig(tensorboard_dir=config.tensorboard_dir, limits=limits)
        executor = RunExecutor(store, pool, Slots(1), bounded, observer)
        run = store.add(spec.Run(id="i", request_id="r", spec=RunSpec(), state=RunState.QUEUED, create_time=now()))
        ended = await executor.enqueue(run, "me").wait_ended()
        assert ended.error is not None
        assert (ended.state, ended.error.reason) == (RunState.FAILED, error.reason)
        assert pool.workers[0].gone

    def test_memory_is_that_of_the_process_alone(self) -> None:
        before = get_private_memory(os.getpid())
        held = bytearray(os.urandom(1)) * 50_000_000
        assert 45_000_000 < get_private_memory(os.getpid()) - before < 60_000_000
        del held
        assert get_private_memory(2**22 + 1) == 0


class TestAttemptsUnderOneId:
    """A caller of an attempt that is over cannot end the one that came after it."""

    async def test_a_late_disconnect_affects_only_its_own_attempt(
        self, scheduler: Scheduler, pool: Any, make_result: Any
    ) -> None:
        async with scheduler.attached(RunSpec(), "r", "me") as first:
            (await pool.begun()).die()
            with pytest.raises(errors.WorkerLostError):
                await scheduler.wait(first.id)
            later = scheduler.attached(RunSpec(), "r", "me")
            again = await later.__aenter__()
            assert again.id == first.id
        worker = await pool.begun()
        waiting = asyncio.create_task(scheduler.wait(again.id))
        worker.send(Trained(result=make_result()))
        assert (await waiting).state is RunState.SUCCEEDED
        await later.__aexit__(None, None, None)

    async def test_a_run_reaped_by_another_server_ends_before_it_restarts(
        self, scheduler: Scheduler, store: Store, pool: Any, make_result: Any
    ) -> None:
        run = await scheduler.submit(RunSpec(), "r", "me")
        first = await pool.begun()
        store.update(run.model_copy(update={"state": RunState.FAILED, "error": LOST}))
        again = await scheduler.submit(RunSpec(), "r", "me")
        assert first.gone
        (await pool.begun()).send(Trained(result=make_result()))
        assert (await scheduler.wait(again.id)).state is RunState.SUCCEEDED

    async def test_a_detached_run_starts_after_its_caller_disconnects(
        self, scheduler: Scheduler, store: Store, pool: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adding, add = asyncio.Event(), store.add
        loop = asyncio.get_running_loop()

        def slow(run: spec.Run) -> spec.Run:
            loop.call_soon_threadsafe(adding.set)
            return add(run)

        monkeypatch.setattr(store, "add", slow)
        submitting = asyncio.create_task(scheduler.submit(RunSpec(), "r", "me"))
        await adding.wait()
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        assert (await pool.begun()).task.run_id
