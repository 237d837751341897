"""Operations on runs for callers: active runs are in the executor, all others in the store."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from loopbench.spec import Naming, Run, RunEvent, RunSpec, RunState
from loopbench_server.blocking import run_blocking, shielded
from loopbench_server.errors import (
    CallerGoneError,
    CallerLimitError,
    DrainingError,
    QueueFullError,
    RequestConflictError,
    RunNotEndedError,
    ServerLostError,
    from_reason,
)
from loopbench_server.runs.active_run import ActiveRun
from loopbench_server.runs.attempt import make_error, now
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.log_context import bind_run_ids
from loopbench_server.runs.maintenance.cancel_requests import CANCELLED
from loopbench_server.runs.remote_runs import RemoteRuns
from loopbench_server.store.store import Store

log = structlog.get_logger()

UNNAMED = Naming()

# Time that a drain waits for a run that is being submitted, and for the ends of cancelled runs.
SUBMIT_TIMEOUT_SECONDS, CANCEL_TIMEOUT_SECONDS = 2.0, 4.0


@dataclass(frozen=True)
class Limits:
    """Runs that train at the same time, runs that may wait, and the sum of both for one caller."""

    slots: int
    queue_size: int
    caller_runs: int


class Scheduler:
    """Submits, returns, watches, cancels and deletes runs."""

    def __init__(self, store: Store, executor: RunExecutor, limits: Limits) -> None:
        self._store = store
        self._executor = executor
        self._limits = limits
        self._remote_runs = RemoteRuns(store)
        self._submitting = asyncio.Lock()
        self._draining = False

    async def submit(self, spec: RunSpec, request_id: str, caller: str, naming: Naming = UNNAMED) -> Run:
        """Return the run of ``request_id``: a new run, or the existing one, which is restarted if it may be retried.

        A new run gets ``naming``. The run continues without its caller, and counts among the runs of ``caller`` until
        it has ended.

        Raises:
            DrainingError: the server is shutting down.
            QueueFullError: no more runs may wait.
            CallerLimitError: the caller has as many runs as it may have.
            RequestConflictError: the request_id was used with another specification.
        """
        # A run is stored and queued, or neither, whenever the caller leaves.
        run, _ = await shielded(self._submit(spec, request_id, caller, naming, detach=True))
        return bind_run_ids(run)

    @asynccontextmanager
    async def attached(
        self, spec: RunSpec, request_id: str, caller: str, naming: Naming = UNNAMED
    ) -> AsyncIterator[Run]:
        """Submit as :meth:`submit` does, and cancel the run if its last caller leaves the block before the end.

        Raises:
            DrainingError, QueueFullError, CallerLimitError, RequestConflictError: as :meth:`submit`.
        """
        submitting = asyncio.create_task(self._submit(spec, request_id, caller, naming, detach=False))
        try:
            run, active = await shielded(submitting)
        except asyncio.CancelledError:
            if not submitting.exception():
                self._detach_caller(submitting.result()[1])
            raise
        try:
            yield bind_run_ids(run)
        finally:
            self._detach_caller(active)

    def _detach_caller(self, active: ActiveRun | None) -> None:
        if active is None:
            return
        active.callers -= 1
        # By now the same id may have another attempt, for other callers.
        if not active.callers and not active.detached and self._executor.active.get(active.run.id) is active:
            error = make_error(CallerGoneError, "the caller that waited for the run disconnected")
            self._executor.cancel(active.run.id, error)

    async def _submit(
        self, spec: RunSpec, request_id: str, caller: str, naming: Naming, *, detach: bool
    ) -> tuple[Run, ActiveRun | None]:
        """Return the run, and its active state if this server works on it."""
        async with self._submitting:
            run = await self._find_or_create(spec, request_id, caller, naming)
            if run.spec != spec:
                raise RequestConflictError(f"request_id {request_id} was used with another specification")
            run = await self._wait_if_cancelled(run)
            if run.error and run.error.retryable:
                self._check_capacity(caller)
                run = await self._restart(run, caller)
            active = self._executor.active.get(run.id)
            if active and detach:
                active.detached = True
            elif active:
                active.callers += 1
            return run, active

    async def _find_or_create(self, spec: RunSpec, request_id: str, caller: str, naming: Naming) -> Run:
        existing = await run_blocking(self._store.find_request, request_id)
        if existing:
            return existing
        self._check_capacity(caller)
        run = _make_queued_run(str(uuid.uuid4()), request_id, spec, now(), naming)
        # Another server may have stored the same request in the meantime.
        stored = await run_blocking(self._store.add, run)
        if stored.id == run.id:
            self._executor.enqueue(run, caller)
        return stored

    async def _wait_if_cancelled(self, run: Run) -> Run:
        """Return the run. If it was cancelled here, or other servers declared this one lost, wait for its end first."""
        if run.id not in self._executor.active:
            return run
        if run.error:
            self._executor.cancel(run.id, run.error)
        if not (run.state.ended or self._executor.is_cancelled(run.id)):
            return run
        await self._executor.wait_ended(run.id)
        return await run_blocking(self._store.get, run.id)

    async def _restart(self, ended: Run, caller: str) -> Run:
        queued_time = now()
        run = _make_queued_run(ended.id, ended.request_id, ended.spec, ended.create_time, ended.naming)
        if await run_blocking(self._store.restart, run):
            self._executor.enqueue(run, caller, queued_time)
            return run
        return await run_blocking(self._store.get, ended.id)

    def _check_capacity(self, caller: str) -> None:
        if self._draining:
            raise DrainingError("the server is shutting down")
        capacity = self._limits.slots + self._limits.queue_size
        if len(self._executor.active) >= capacity:
            raise QueueFullError(f"queue is full: {self.running} running, {self.queued} queued (limit {capacity})")
        if sum(active.owner == caller for active in self._executor.active.values()) >= self._limits.caller_runs:
            raise CallerLimitError(
                f"this caller has {self._limits.caller_runs} unfinished runs (limit {self._limits.caller_runs})"
            )

    async def wait(self, run_id: str) -> Run:
        """Return the run once it has ended.

        Raises:
            RunNotFoundError: no run has this id.
            LoopbenchServerError: the run ended without a result; the error is that of its reason.
        """
        active = self._executor.active.get(run_id)
        run = await active.wait_ended() if active else await self._wait_remote(run_id)
        if run.error:
            raise from_reason(run.error.reason)(run.error.message, run_id=run_id)
        return run

    async def _wait_remote(self, run_id: str) -> Run:
        async with self._remote_runs.follow(run_id) as active:
            run = await active.wait_ended()
        if run.error and run.error.reason == CallerGoneError.reason:
            # The end was for a caller of another server; the same request restarts the run.
            raise ServerLostError("the server that worked on the run cancelled it", run_id=run_id)
        return run

    def get_active(self, run_id: str) -> Run | None:
        """Return the current state of the run if this server works on it."""
        active = self._executor.active.get(run_id)
        return active.run if active else None

    async def get(self, run_id: str) -> Run:
        """Return the current state of the run.

        Raises:
            RunNotFoundError: no run has this id.
        """
        active = self._executor.active.get(run_id)
        return bind_run_ids(active.run if active else await run_blocking(self._store.get, run_id))

    async def watch(self, run_id: str) -> AsyncIterator[RunEvent]:
        """Yield the state with all epochs so far, then every change, until the run has ended.

        Raises:
            RunNotFoundError: no run has this id.
        """
        active = self._executor.active.get(run_id)
        async with nullcontext(active) if active else self._remote_runs.follow(run_id) as followed:
            async for event in followed.watch():
                if event.run:
                    bind_run_ids(event.run)
                yield event

    async def cancel(self, run_id: str) -> Run:
        """Cancel a run of this or another server; its process has ended when this method returns.

        A run that has ended stays as it is.

        Raises:
            RunNotFoundError: no run has this id.
        """
        self._executor.cancel(run_id, CANCELLED)
        await self._executor.wait_ended(run_id)
        run = await self.get(run_id)
        if run.state.ended:
            return run
        await run_blocking(self._store.request_cancel, run_id)
        async with self._remote_runs.follow(run_id) as active:
            return await active.wait_ended()

    async def delete(self, run_id: str) -> None:
        """Delete a run that has ended, with its weights and logs.

        Raises:
            RunNotFoundError: no run has this id.
            RunNotEndedError: the run has not ended.
        """
        run = await self.get(run_id)
        if not run.state.ended:
            raise RunNotEndedError(f"run {run_id} is {run.state}", run_id=run_id)
        if not await run_blocking(self._store.delete, run_id):
            raise RunNotEndedError(f"run {run_id} has been restarted", run_id=run_id)
        await run_blocking(self._executor.remove_logs, run_id)

    @property
    def running(self) -> int:
        """Number of runs that have a slot."""
        return len(self._executor.in_state(RunState.RUNNING))

    @property
    def queued(self) -> int:
        """Number of runs that wait for a slot."""
        return len(self._executor.in_state(RunState.QUEUED))

    @property
    def draining(self) -> bool:
        """Whether new runs are refused."""
        return self._draining

    async def drain(self, seconds: float) -> None:
        """Refuse new runs, cancel queued runs, and cancel runs that still run after ``seconds``.

        Returns a few seconds after that at the latest, whatever delays the ends of runs.
        """
        self._draining = True
        # A caller that has passed the check has queued its run by then, unless the database delays it.
        with suppress(TimeoutError):
            async with asyncio.timeout(SUBMIT_TIMEOUT_SECONDS), self._submitting:
                pass
        active = self._executor.active
        error = make_error(DrainingError, "the server shut down before the run ended")
        for waiting in self._executor.in_state(RunState.QUEUED):
            self._executor.cancel(waiting.run.id, error)
        await self._executor.wait_ended(*active, seconds=seconds)
        for run_id in tuple(active):
            self._executor.cancel(run_id, error)
        await self._executor.wait_ended(*active, seconds=CANCEL_TIMEOUT_SECONDS)
        if active:
            log.error("runs left without an end: their leases will expire", run_ids=[*active])


def _make_queued_run(run_id: str, request_id: str, spec: RunSpec, create_time: datetime, naming: Naming) -> Run:
    known = {"name": naming.name, "labels": naming.labels}
    return Run(id=run_id, request_id=request_id, spec=spec, state=RunState.QUEUED, create_time=create_time, **known)
