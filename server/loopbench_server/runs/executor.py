"""Gives runs slots in turn, and sees each to its end."""

import asyncio
import shutil
from contextlib import suppress
from datetime import datetime

import structlog

from loopbench.spec import EpochRecord, Run, RunError, RunState
from loopbench_server.blocking import run_blocking_for_run
from loopbench_server.errors import (
    LoopbenchServerError,
    RunFailedError,
    ServerLostError,
    StoreFailedError,
    WorkerLostError,
)
from loopbench_server.runs.active_run import ActiveRun
from loopbench_server.runs.attempt import Outcome, make_error, now, run_attempt
from loopbench_server.runs.log_context import run_log_context
from loopbench_server.runs.observers import Observer
from loopbench_server.store.retry import retry_until
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.pool import WorkerDiedError, WorkerPool

log = structlog.get_logger()


class RunExecutor:
    """``live`` holds the runs under way here, by id, in the order they came. ``observer`` is told of them."""

    def __init__(self, store: Store, pool: WorkerPool, slots: int, config: WorkerConfig, observer: Observer) -> None:
        self.active: dict[str, ActiveRun] = {}
        self._store = store
        self._pool = pool
        self._slots = asyncio.Semaphore(slots)
        self._config = config
        self.observer = observer
        # An attempt may be cancelled. Its supervisor never is: whatever happens, the run gets its end.
        self._attempts: dict[str, asyncio.Task[Outcome]] = {}
        self._supervisors: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, RunError] = {}

    def enqueue(self, run: Run, caller: str, queued_time: datetime | None = None) -> ActiveRun:
        """Queues a run that is stored, for ``caller``; since ``queued_time`` if this is not its first attempt."""
        active = self.active[run.id] = ActiveRun(run, caller, queued_time)
        with run_log_context(run):
            self._attempts[run.id] = asyncio.create_task(self._attempt(active))
            self._supervisors[run.id] = asyncio.create_task(self._supervise(active))
            log.info("run queued", method=run.spec.method, loss=run.spec.loss)
        self.observer.run_queued(_this_attempt(active, run))
        self._update_queue_positions()
        return active

    def cancel(self, run_id: str, error: RunError) -> None:
        """Ends a run that is queued or running, with ``error``. The first call counts: a second would disturb it."""
        if run_id in self.active and run_id not in self._cancelled:
            self._cancelled[run_id] = error
            self._attempts[run_id].cancel()

    def is_cancelled(self, run_id: str) -> bool:
        """Whether the run is about to end without a result."""
        return run_id in self._cancelled

    def remove_logs(self, run_id: str) -> None:
        """Removes the run's TensorBoard logs, if it has any."""
        shutil.rmtree(self._config.log_dir(run_id), ignore_errors=True)

    async def wait_ended(self, *run_ids: str, seconds: float | None = None) -> None:
        """Returns when those of the runs that are live have ended and are stored, or after so many seconds."""
        supervisors = [self._supervisors[run_id] for run_id in run_ids if run_id in self._supervisors]
        if supervisors:
            await asyncio.wait(supervisors, timeout=seconds)

    def in_state(self, state: RunState) -> list[ActiveRun]:
        """The live runs in ``state``, in the order they came."""
        return [active for active in self.active.values() if active.run.state is state]

    def _update_queue_positions(self) -> None:
        for position, active in enumerate(self.in_state(RunState.QUEUED)):
            if active.queue_position != position:
                active.update(queue_position=position)

    async def _attempt(self, active: ActiveRun) -> Outcome:
        async with self._slots:
            queue_seconds = active.seconds
            start_time = now(not_before=active.run.create_time)
            run = active.run.model_copy(update={"state": RunState.RUNNING, "start_time": start_time})
            await retry_until(self._store.lease, self._store.update, run)
            self.observer.run_started(_this_attempt(active, run))
            active.update(run=run)
            self._update_queue_positions()
            return await run_attempt(
                _this_attempt(active, run),
                self._pool,
                self._config,
                queue_seconds=queue_seconds,
                on_phase=lambda phase, time: self.observer.phase_began(run, phase, time),
                on_progress=lambda progress: active.update(progress=progress),
                on_epoch=lambda record: self._epoch_ended(active, record),
            )

    async def _epoch_ended(self, active: ActiveRun, record: EpochRecord) -> None:
        await retry_until(self._store.lease, self._store.add_epoch, active.run.id, record)
        self.observer.epoch_ended(active.run, record)
        active.update(epoch=record)

    async def _supervise(self, active: ActiveRun) -> None:
        run_id = active.run.id
        try:
            outcome = await self._attempts[run_id]
        except asyncio.CancelledError:
            outcome = Outcome(RunState.CANCELLED, error=self._cancelled.get(run_id))
        except LoopbenchServerError as error:
            outcome = Outcome(RunState.FAILED, error=make_error(type(error), str(error)))
        except WorkerDiedError as error:
            outcome = Outcome(RunState.FAILED, error=make_error(WorkerLostError, str(error)))
        except Exception:
            log.exception("run failed")
            outcome = Outcome(RunState.FAILED, error=make_error(RunFailedError, "the server failed; its log says how"))
        await self._finish(active, outcome)

    async def _finish(self, active: ActiveRun, outcome: Outcome) -> None:
        had_slot = active.run.state is RunState.RUNNING
        run = _end_run(active.run, outcome)
        if outcome.result:
            self.observer.phase_began(run, "store", now().timestamp())
        run = await self._store_outcome(run, outcome.weights)
        for kept in (self.active, self._attempts, self._supervisors, self._cancelled):
            kept.pop(run.id, None)
        try:
            self.observer.run_ended(run, had_slot=had_slot)
        finally:  # whoever waits is told, whatever becomes of the figures
            active.update(run=run)
            self._update_queue_positions()
        reason = run.error.reason if run.error else None
        log.info("run ended", state=run.state, reason=reason)

    async def _store_outcome(self, run: Run, weights: bytes) -> Run:
        """What callers are told of ``run``, which has ended: never of a result that the store would not have."""
        try:
            await retry_until(self._store.lease, self._store.update, run, weights)
        except ServerLostError as lost:
            # A connection may have broken between the commit and its confirmation. Otherwise another server took this
            # one for dead, as it could not say anything for longer than its lease.
            with suppress(LoopbenchServerError):
                if (kept := await run_blocking_for_run(self._store.get, run.id)).state.ended:
                    return kept
            return _end_run(run, Outcome(RunState.FAILED, error=make_error(ServerLostError, str(lost))))
        except Exception as failed:
            # The run's lease lapses, so that the store too says in the end that it failed and may be tried again.
            log.exception("run not stored")
            kind = type(failed) if isinstance(failed, StoreFailedError) else StoreFailedError
            return _end_run(run, Outcome(RunState.FAILED, error=make_error(kind, "the run could not be stored")))
        return run


def _this_attempt(active: ActiveRun, run: Run) -> Run:
    """``run`` as if its present attempt were the only one: how long it waits is counted from there."""
    return run.model_copy(update={"create_time": active.queued_time})


def _end_run(run: Run, outcome: Outcome) -> Run:
    end_time = now(not_before=run.start_time or run.create_time)
    return run.model_copy(
        update={"state": outcome.state, "end_time": end_time, "result": outcome.result, "error": outcome.error}
    )
