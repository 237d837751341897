"""Runs attempts on slots, and stores the end of every run."""

import asyncio
import shutil
from contextlib import suppress
from dataclasses import replace
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
from loopbench_server.runs.slots import Slots
from loopbench_server.store.retry import retry_until
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.pool import WorkerPool
from loopbench_server.workers.worker import WorkerDiedError

log = structlog.get_logger()


class RunExecutor:
    """Executes runs. ``active`` holds the queued and running runs of this server by id, in order of submission."""

    def __init__(self, store: Store, pool: WorkerPool, slots: Slots, config: WorkerConfig, observer: Observer) -> None:
        self.active: dict[str, ActiveRun] = {}
        self._store = store
        self._pool = pool
        self._slots = slots
        self._config = config
        self.observer = observer
        # An attempt may be cancelled. Its supervisor never is: the run gets its end, whatever happens.
        self._attempts: dict[str, asyncio.Task[Outcome]] = {}
        self._supervisors: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, RunError] = {}

    def enqueue(self, run: Run, caller: str, queued_time: datetime | None = None) -> ActiveRun:
        """Queue a stored run of ``caller``; ``queued_time`` is given if this is not the first attempt."""
        active = self.active[run.id] = ActiveRun(run, caller, queued_time)
        with run_log_context(run):
            self._attempts[run.id] = asyncio.create_task(self._attempt(active))
            self._supervisors[run.id] = asyncio.create_task(self._supervise(active))
            log.info("run queued", method=run.spec.method, loss=run.spec.loss)
        self.observer.run_queued(_this_attempt(active, run))
        self._update_queue_positions()
        return active

    def cancel(self, run_id: str, error: RunError) -> None:
        """End a queued or running run with ``error``. Only the first call has an effect."""
        if run_id in self.active and run_id not in self._cancelled:
            self._cancelled[run_id] = error
            self._attempts[run_id].cancel()

    def is_cancelled(self, run_id: str) -> bool:
        """Return whether the run is about to end without a result."""
        return run_id in self._cancelled

    def remove_logs(self, run_id: str) -> None:
        """Remove the run's TensorBoard logs, if it has any."""
        shutil.rmtree(self._config.log_dir(run_id), ignore_errors=True)

    async def wait_ended(self, *run_ids: str, seconds: float | None = None) -> None:
        """Return when those of the runs that are active have ended and are stored, or after ``seconds``."""
        supervisors = [self._supervisors[run_id] for run_id in run_ids if run_id in self._supervisors]
        if supervisors:
            await asyncio.wait(supervisors, timeout=seconds)

    def in_state(self, state: RunState) -> list[ActiveRun]:
        """Return the active runs in ``state``, in order of submission."""
        return [active for active in self.active.values() if active.run.state is state]

    def _update_queue_positions(self) -> None:
        for position, active in enumerate(self.in_state(RunState.QUEUED)):
            if active.queue_position != position:
                active.update(queue_position=position)

    async def _attempt(self, active: ActiveRun) -> Outcome:
        async with self._slots.hold(active.run.spec) as gpu_slots:
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
                replace(self._config, gpu_slots=gpu_slots),
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
            outcome = Outcome(
                RunState.FAILED, error=make_error(RunFailedError, "internal error; the server's log has the details")
            )
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
        finally:  # callers must learn of the end even if an observer fails
            active.update(run=run)
            self._update_queue_positions()
        reason = run.error.reason if run.error else None
        log.info("run ended", state=run.state, reason=reason)

    async def _store_outcome(self, run: Run, weights: bytes) -> Run:
        """Store ``run``, which has ended, and return what callers receive: never a result that the store lacks."""
        try:
            await retry_until(self._store.lease, self._store.update, run, weights)
        except ServerLostError as lost:
            # The connection may have broken between commit and confirmation. Otherwise another server has declared this
            # one lost, because it could not renew its lease.
            with suppress(LoopbenchServerError):
                if (kept := await run_blocking_for_run(self._store.get, run.id)).state.ended:
                    return kept
            return _end_run(run, Outcome(RunState.FAILED, error=make_error(ServerLostError, str(lost))))
        except Exception as failed:
            # The run's lease expires, after which the store also says that the run failed and can be retried.
            log.exception("run not stored")
            kind = type(failed) if isinstance(failed, StoreFailedError) else StoreFailedError
            return _end_run(run, Outcome(RunState.FAILED, error=make_error(kind, "the run could not be stored")))
        return run


def _this_attempt(active: ActiveRun, run: Run) -> Run:
    """Return ``run`` with the creation time of its current attempt, from which its waiting time counts."""
    return run.model_copy(update={"create_time": active.queued_time})


def _end_run(run: Run, outcome: Outcome) -> Run:
    end_time = now(not_before=run.start_time or run.create_time)
    return run.model_copy(
        update={"state": outcome.state, "end_time": end_time, "result": outcome.result, "error": outcome.error}
    )
