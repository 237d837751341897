"""What callers may ask of runs: those under way here are in the executor, all others in the store."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from loopbench.spec import Run, RunEvent, RunSpec, RunState
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
from loopbench_server.runs.attempt import error_of, now
from loopbench_server.runs.cancellations import CANCELLED
from loopbench_server.runs.elsewhere import Elsewhere
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.live import LiveRun
from loopbench_server.runs.naming import logged_as
from loopbench_server.runs.store import Store
from loopbench_server.runs.threads import in_thread, to_the_end

log = structlog.get_logger()

# Seconds that a drain waits: for a run that is being submitted, and for the ends of runs that it called off.
SUBMIT_SECONDS, END_SECONDS = 2.0, 4.0


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
        self._elsewhere = Elsewhere(store)
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
        run, _ = await to_the_end(self._submitted(spec, request_id, caller, detach=True))
        return logged_as(run)

    @asynccontextmanager
    async def attached(self, spec: RunSpec, request_id: str, caller: str) -> AsyncIterator[Run]:
        """As :meth:`submit`, but when the last caller leaves its block before the run has ended, the run is called off.

        Raises:
            DrainingError, QueueFullError, CallerLimitError, RequestConflictError: as :meth:`submit`.
        """
        submitting = asyncio.create_task(self._submitted(spec, request_id, caller, detach=False))
        try:
            run, live = await to_the_end(submitting)
        except asyncio.CancelledError:
            if not submitting.exception():
                self._leave(submitting.result()[1])
            raise
        try:
            yield logged_as(run)
        finally:
            self._leave(live)

    def _leave(self, live: LiveRun | None) -> None:
        if live is None:
            return
        live.callers -= 1
        # Under the same id there may be another attempt by now, for other callers.
        if not live.callers and not live.detached and self._executor.live.get(live.run.id) is live:
            error = error_of(CallerGoneError, "the caller that waited for the run went away")
            self._executor.call_off(live.run.id, error)

    async def _submitted(
        self, spec: RunSpec, request_id: str, caller: str, *, detach: bool
    ) -> tuple[Run, LiveRun | None]:
        """The run, and what its caller has joined, if it is under way here."""
        async with self._submitting:
            run = await self._found_or_begun(spec, request_id, caller)
            if run.spec != spec:
                raise RequestConflictError(f"request_id {request_id} was used with another specification")
            run = await self._without_an_end_meant_for_others(run)
            if run.error and run.error.retryable:
                self._check_room(caller)
                run = await self._restarted(run, caller)
            live = self._executor.live.get(run.id)
            if live and detach:
                live.detached = True
            elif live:
                live.callers += 1
            return run, live

    async def _found_or_begun(self, spec: RunSpec, request_id: str, caller: str) -> Run:
        existing = await in_thread(self._store.find_request, request_id)
        if existing:
            return existing
        self._check_room(caller)
        run = _queued(str(uuid.uuid4()), request_id, spec, now())
        # Another server may have stored the same request meanwhile.
        stored = await in_thread(self._store.add, run)
        if stored.id == run.id:
            self._executor.begin(run, caller)
        return stored

    async def _without_an_end_meant_for_others(self, run: Run) -> Run:
        """A run that goes on here, but ends: it was called off, or other servers took this one for dead."""
        if run.id not in self._executor.live:
            return run
        if run.error:
            self._executor.call_off(run.id, run.error)
        if not (run.state.ended or self._executor.is_called_off(run.id)):
            return run
        await self._executor.ended(run.id)
        return await in_thread(self._store.get, run.id)

    async def _restarted(self, ended: Run, caller: str) -> Run:
        queued_time = now()
        run = _queued(ended.id, ended.request_id, ended.spec, ended.create_time)
        if await in_thread(self._store.restart, run):
            self._executor.begin(run, caller, queued_time)
            return run
        return await in_thread(self._store.get, ended.id)

    def _check_room(self, caller: str) -> None:
        if self._draining:
            raise DrainingError("the server is shutting down")
        if len(self._executor.live) >= self._limits.slots + self._limits.queue_size:
            raise QueueFullError(f"{self.running} runs train and {self.queued} wait, and no more may")
        if sum(live.began_by == caller for live in self._executor.live.values()) >= self._limits.caller_runs:
            raise CallerLimitError(f"this caller has {self._limits.caller_runs} runs under way, and may have no more")

    async def wait(self, run_id: str) -> Run:
        """The run, once it has ended.

        Raises:
            RunNotFoundError: there is none of that id.
            LoopbenchServerError: the run ended without a result; the error is that of its reason.
        """
        live = self._executor.live.get(run_id)
        run = await live.ended() if live else await self._ended_elsewhere(run_id)
        if run.error:
            raise from_reason(run.error.reason)(run.error.message, run_id=run_id)
        return run

    async def _ended_elsewhere(self, run_id: str) -> Run:
        async with self._elsewhere.follow(run_id) as live:
            run = await live.ended()
        if run.error and run.error.reason == CallerGoneError.reason:
            # Its end was meant for a caller of another server; asked for again, the run begins anew.
            raise ServerLostError("the server that worked on the run called it off", run_id=run_id)
        return run

    def live_run(self, run_id: str) -> Run | None:
        """The run as it is now, if it is under way here."""
        live = self._executor.live.get(run_id)
        return live.run if live else None

    async def get(self, run_id: str) -> Run:
        """The run as it is now.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        live = self._executor.live.get(run_id)
        return logged_as(live.run if live else await in_thread(self._store.get, run_id))

    async def watch(self, run_id: str) -> AsyncIterator[RunEvent]:
        """The state and all epochs so far, then what changes, until the run has ended.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        live = self._executor.live.get(run_id)
        async with nullcontext(live) if live else self._elsewhere.follow(run_id) as followed:
            async for event in followed.watch():
                if event.run:
                    logged_as(event.run)
                yield event

    async def cancel(self, run_id: str) -> Run:
        """Ends a run that is under way, here or elsewhere; its process is gone when this returns.

        An ended run stays as it is.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        self._executor.call_off(run_id, CANCELLED)
        await self._executor.ended(run_id)
        run = await self.get(run_id)
        if run.state.ended:
            return run
        await in_thread(self._store.request_cancel, run_id)
        async with self._elsewhere.follow(run_id) as live:
            return await live.ended()

    async def delete(self, run_id: str) -> None:
        """Forgets a run that has ended, with its weights and logs.

        Raises:
            RunNotFoundError: there is none of that id.
            RunNotEndedError: it is under way.
        """
        run = await self.get(run_id)
        if not run.state.ended:
            raise RunNotEndedError(f"run {run_id} is {run.state}", run_id=run_id)
        if not await in_thread(self._store.delete, run_id):
            raise RunNotEndedError(f"run {run_id} has been started anew", run_id=run_id)
        await in_thread(self._executor.remove_logs, run_id)

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
            async with asyncio.timeout(SUBMIT_SECONDS), self._submitting:
                pass
        live = self._executor.live
        error = error_of(DrainingError, "the server shut down before the run ended")
        for waiting in self._executor.in_state(RunState.QUEUED):
            self._executor.call_off(waiting.run.id, error)
        await self._executor.ended(*live, seconds=seconds)
        for run_id in tuple(live):
            self._executor.call_off(run_id, error)
        await self._executor.ended(*live, seconds=END_SECONDS)
        if live:
            log.error("runs left without an end: their leases expire", run_ids=[*live])


def _queued(run_id: str, request_id: str, spec: RunSpec, create_time: datetime) -> Run:
    return Run(id=run_id, request_id=request_id, spec=spec, state=RunState.QUEUED, create_time=create_time)
