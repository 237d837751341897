"""What callers may ask of runs: those under way here are in the executor, all others in the store."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from loopbench.spec import Run, RunEvent, RunSpec, RunState
from loopbench_server.blocking import run_blocking, run_blocking_reserved, shielded
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

# Seconds that a drain waits: for a run that is being submitted, and for the ends of runs that it called off.
SUBMIT_TIMEOUT_SECONDS, CANCEL_TIMEOUT_SECONDS = 2.0, 4.0


@dataclass(frozen=True)
class Limits:
    """Runs at once, runs that may wait, and runs that one caller may have of both."""

    slots: int
    queue_size: int
    caller_runs: int


class Scheduler:
    """Takes runs in, tells of them, and calls them off."""

    def __init__(self, store: Store, executor: RunExecutor, limits: Limits) -> None:
        self._store = store
        self._executor = executor
        self._limits = limits
        self._remote_runs = RemoteRuns(store)
        self._submitting = asyncio.Lock()
        self._draining = False

    async def submit(self, spec: RunSpec, request_id: str, caller: str) -> Run:
        """The run that ``request_id`` stands for: a new one, the one there is, or that one once more if it may retry.

        It goes on without its caller, and counts among the runs of ``caller`` until it has ended.

        Raises:
            DrainingError: the server is shutting down.
            QueueFullError: no more runs may wait.
            CallerLimitError: no more runs of this caller may.
            RequestConflictError: the request_id was used with another specification.
        """
        # What is begun is stored and under way, or neither, whenever the caller goes.
        run, _ = await shielded(self._submit(spec, request_id, caller, detach=True))
        return bind_run_ids(run)

    @asynccontextmanager
    async def attached(self, spec: RunSpec, request_id: str, caller: str) -> AsyncIterator[Run]:
        """As :meth:`submit`, but when the last caller leaves its block before the run has ended, the run is called off.

        Raises:
            DrainingError, QueueFullError, CallerLimitError, RequestConflictError: as :meth:`submit`.
        """
        submitting = asyncio.create_task(self._submit(spec, request_id, caller, detach=False))
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
        # Under the same id there may be another attempt by now, for other callers.
        if not active.callers and not active.detached and self._executor.active.get(active.run.id) is active:
            error = make_error(CallerGoneError, "the caller that waited for the run went away")
            self._executor.cancel(active.run.id, error)

    async def _submit(
        self, spec: RunSpec, request_id: str, caller: str, *, detach: bool
    ) -> tuple[Run, ActiveRun | None]:
        """The run, and what its caller has joined, if it is under way here."""
        async with self._submitting:
            run = await self._find_or_create(spec, request_id, caller)
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

    async def _find_or_create(self, spec: RunSpec, request_id: str, caller: str) -> Run:
        existing = await run_blocking(self._store.find_request, request_id)
        if existing:
            return existing
        self._check_capacity(caller)
        run = _make_queued_run(str(uuid.uuid4()), request_id, spec, now())
        # Another server may have stored the same request meanwhile.
        stored = await run_blocking(self._store.add, run)
        if stored.id == run.id:
            self._executor.enqueue(run, caller)
        return stored

    async def _wait_if_cancelled(self, run: Run) -> Run:
        """A run that goes on here, but ends: it was called off, or other servers took this one for dead."""
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
        run = _make_queued_run(ended.id, ended.request_id, ended.spec, ended.create_time)
        if await run_blocking(self._store.restart, run):
            self._executor.enqueue(run, caller, queued_time)
            return run
        return await run_blocking(self._store.get, ended.id)

    def _check_capacity(self, caller: str) -> None:
        if self._draining:
            raise DrainingError("the server is shutting down")
        if len(self._executor.active) >= self._limits.slots + self._limits.queue_size:
            raise QueueFullError(f"{self.running} runs train and {self.queued} wait, and no more may")
        if sum(active.owner == caller for active in self._executor.active.values()) >= self._limits.caller_runs:
            raise CallerLimitError(f"this caller has {self._limits.caller_runs} runs under way, and may have no more")

    async def wait(self, run_id: str) -> Run:
        """The run, once it has ended.

        Raises:
            RunNotFoundError: there is none of that id.
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
            # Its end was meant for a caller of another server; asked for again, the run begins anew.
            raise ServerLostError("the server that worked on the run called it off", run_id=run_id)
        return run

    def get_active(self, run_id: str) -> Run | None:
        """The run as it is now, if it is under way here."""
        active = self._executor.active.get(run_id)
        return active.run if active else None

    async def get(self, run_id: str) -> Run:
        """The run as it is now.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        active = self._executor.active.get(run_id)
        return bind_run_ids(active.run if active else await run_blocking(self._store.get, run_id))

    async def watch(self, run_id: str) -> AsyncIterator[RunEvent]:
        """The state and all epochs so far, then what changes, until the run has ended.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        active = self._executor.active.get(run_id)
        async with nullcontext(active) if active else self._remote_runs.follow(run_id) as followed:
            async for event in followed.watch():
                if event.run:
                    bind_run_ids(event.run)
                yield event

    async def cancel(self, run_id: str) -> Run:
        """Ends a run that is under way, here or elsewhere; its process is gone when this returns.

        An ended run stays as it is.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        self._executor.cancel(run_id, CANCELLED)
        await self._executor.wait_ended(run_id)
        run = await self.get(run_id)
        if run.state.ended:
            return run
        await run_blocking_reserved(self._store.request_cancel, run_id)
        async with self._remote_runs.follow(run_id) as active:
            return await active.wait_ended()

    async def delete(self, run_id: str) -> None:
        """Forgets a run that has ended, with its weights and logs.

        Raises:
            RunNotFoundError: there is none of that id.
            RunNotEndedError: it is under way.
        """
        run = await self.get(run_id)
        if not run.state.ended:
            raise RunNotEndedError(f"run {run_id} is {run.state}", run_id=run_id)
        if not await run_blocking(self._store.delete, run_id):
            raise RunNotEndedError(f"run {run_id} has been started anew", run_id=run_id)
        await run_blocking(self._executor.remove_logs, run_id)

    @property
    def running(self) -> int:
        """Runs that have a slot."""
        return len(self._executor.in_state(RunState.RUNNING))

    @property
    def queued(self) -> int:
        """Runs that wait for one."""
        return len(self._executor.in_state(RunState.QUEUED))

    @property
    def draining(self) -> bool:
        """Whether new runs are refused."""
        return self._draining

    async def drain(self, seconds: float) -> None:
        """Takes no more runs, calls off those that wait, and those still running after ``seconds``.

        Returns some seconds later at the latest, whatever holds up their ends.
        """
        self._draining = True
        # Who passed the check before has begun by then, unless a database holds it up.
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
            log.error("runs left without an end: their leases expire", run_ids=[*active])


def _make_queued_run(run_id: str, request_id: str, spec: RunSpec, create_time: datetime) -> Run:
    return Run(id=run_id, request_id=request_id, spec=spec, state=RunState.QUEUED, create_time=create_time)
