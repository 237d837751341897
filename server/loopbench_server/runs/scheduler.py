"""Takes runs in, gives them slots in turn, and sees each to its end."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import structlog

from loopbench.spec import EpochRecord, Run, RunError, RunEvent, RunSpec, RunState
from loopbench_server.errors import (
    CallerGoneError,
    DrainingError,
    LoopbenchServerError,
    QueueFullError,
    RequestConflictError,
    RunCancelledError,
    RunFailedError,
    RunNotEndedError,
    ServerLostError,
    StoreFailedError,
    WorkerLostError,
    from_reason,
)
from loopbench_server.runs.attempt import Outcome, Surroundings, attempt, error_of, now
from loopbench_server.runs.live import LiveRun
from loopbench_server.runs.processes import Processes, WorkerDiedError
from loopbench_server.runs.store import LEASE, Store

log = structlog.get_logger()

SECONDS_BETWEEN_POLLS = 0.5


@dataclass(frozen=True)
class Limits:
    """Runs at once, and runs that may wait."""

    slots: int
    queue_size: int


class Observer(Protocol):
    """Who counts what happens."""

    def run_queued(self) -> None:
        """A run waits for a slot."""

    def run_started(self) -> None:
        """A run that waited has its slot."""

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """An epoch of ``run`` is complete."""

    def run_ended(self, run: Run, *, had_slot: bool) -> None:
        """A run has a result or an error."""


class Scheduler:
    """Runs by id: those under way here in memory, all others in the store."""

    def __init__(
        self, store: Store, processes: Processes, limits: Limits, surroundings: Surroundings, observer: Observer
    ) -> None:
        self._store = store
        self._processes = processes
        self._limits = limits
        self._surroundings = surroundings
        self._observer = observer
        self._slots = asyncio.Semaphore(limits.slots)
        self._live: dict[str, LiveRun] = {}
        self._attempts: dict[str, asyncio.Task[Outcome]] = {}
        self._supervisors: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, RunError] = {}
        self._submitting = asyncio.Lock()
        self._draining = False

    # --- what callers ask for

    async def submit(self, spec: RunSpec, request_id: str, *, detach: bool) -> Run:
        """The run that ``request_id`` stands for: a new one, the one there is, or that one once more if it may retry.

        Raises:
            DrainingError, QueueFullError, RequestConflictError
        """
        async with self._submitting:
            existing = await asyncio.to_thread(self._store.find_request, request_id)
            if existing and existing.spec != spec:
                raise RequestConflictError(f"request_id {request_id} was used with another specification")
            if existing and not (existing.error and existing.error.retryable):
                if detach and existing.id in self._live:
                    self._live[existing.id].detached = True
                return existing
            self._check_room()
            run_id = existing.id if existing else str(uuid.uuid4())
            run = Run(id=run_id, request_id=request_id, spec=spec, state=RunState.QUEUED, create_time=now())
            await asyncio.to_thread(self._store.restart if existing else self._store.add, run)
            self._begin(run, detached=detach)
            return run

    async def wait(self, run_id: str) -> Run:
        """The run, once it has ended. If the last of its callers is cancelled meanwhile, so is an attached run.

        Raises:
            LoopbenchServerError: the run ended without a result; the error is that of its reason.
        """
        live = self._live.get(run_id)
        if live is None:
            run = await self._poll(run_id)
        else:
            live.callers += 1
            try:
                run = await live.ended()
            finally:
                live.callers -= 1
                if not live.callers and not live.detached:
                    self._call_off(run_id, error_of(CallerGoneError, "the caller that waited for the run went away"))
        if run.error:
            raise from_reason(run.error.reason)(run.error.message, run_id=run_id)
        return run

    async def get(self, run_id: str) -> Run:
        """The run as it is now.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        live = self._live.get(run_id)
        return live.run if live else await asyncio.to_thread(self._store.get, run_id)

    async def watch(self, run_id: str) -> AsyncIterator[RunEvent]:
        """The state and all epochs so far, then what changes, until the run has ended.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        live = self._live.get(run_id)
        if live:
            async for event in live.watch():
                yield event
            return
        seen = 0
        while True:
            run = await asyncio.to_thread(self._store.get, run_id)
            epochs = await asyncio.to_thread(self._store.epochs_of, run_id)
            yield RunEvent(state=run.state, epochs=epochs[seen:], run=run if not seen or run.state.ended else None)
            if run.state.ended:
                return
            seen = len(epochs)
            await asyncio.sleep(SECONDS_BETWEEN_POLLS)

    async def cancel(self, run_id: str) -> Run:
        """Ends a run that is under way here; its process is gone when this returns.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        self._call_off(run_id, error_of(RunCancelledError, "cancelled on request"))
        if run_id in self._supervisors:
            await asyncio.shield(self._supervisors[run_id])
        return await self.get(run_id)

    async def delete(self, run_id: str) -> None:
        """Forgets a run that has ended.

        Raises:
            RunNotFoundError: there is none of that id.
            RunNotEndedError: it is under way.
        """
        run = await self.get(run_id)
        if not run.state.ended:
            raise RunNotEndedError(f"run {run_id} is {run.state}", run_id=run_id)
        await asyncio.to_thread(self._store.delete, run_id)

    @property
    def running(self) -> int:
        """Runs that have a slot."""
        return sum(live.run.state is RunState.RUNNING for live in self._live.values())

    @property
    def queued(self) -> int:
        """Runs that wait for one."""
        return sum(live.run.state is RunState.QUEUED for live in self._live.values())

    @property
    def draining(self) -> bool:
        """Whether new runs are refused."""
        return self._draining

    async def drain(self, seconds: float) -> None:
        """Takes no more runs, calls off those that wait, and those still running after ``seconds``."""
        self._draining = True
        error = error_of(DrainingError, "the server shut down before the run ended")
        for live in [live for live in self._live.values() if live.run.state is RunState.QUEUED]:
            self._call_off(live.run.id, error)
        if self._supervisors:
            await asyncio.wait(self._supervisors.values(), timeout=seconds)
        for run_id in list(self._live):
            self._call_off(run_id, error)
        await asyncio.gather(*self._supervisors.values())

    async def keep_leases(self) -> None:
        """For ever: renews the leases of this server's runs, and fails those that others have let lapse."""
        lost = error_of(ServerLostError, "the server that worked on the run ended before the run did")
        while True:
            await asyncio.to_thread(self._store.renew_leases)
            failed = await asyncio.to_thread(self._store.fail_abandoned, lost)
            if failed:
                log.warning("failed abandoned runs", count=failed)
            await asyncio.sleep(LEASE.total_seconds() / 3)

    # --- a run's way from slot to end

    def _check_room(self) -> None:
        if self._draining:
            raise DrainingError("the server is shutting down")
        if self.queued >= self._limits.queue_size:
            raise QueueFullError(f"{self.queued} runs are waiting, and no more may")

    def _begin(self, run: Run, *, detached: bool) -> None:
        self._live[run.id] = LiveRun(run, detached=detached)
        self._attempts[run.id] = asyncio.create_task(self._attempt(self._live[run.id]))
        self._supervisors[run.id] = asyncio.create_task(self._supervise(self._live[run.id]))
        self._observer.run_queued()
        self._tell_queue()
        log.info("run queued", run_id=run.id, request_id=run.request_id, method=run.spec.method, loss=run.spec.loss)

    def _tell_queue(self) -> None:
        waiting = [live for live in self._live.values() if live.run.state is RunState.QUEUED]
        for position, live in enumerate(waiting):
            live.change(queue_position=position)

    def _call_off(self, run_id: str, error: RunError) -> None:
        attempt = self._attempts.get(run_id)
        if attempt and not attempt.done():
            self._cancelled.setdefault(run_id, error)
            attempt.cancel()

    async def _attempt(self, live: LiveRun) -> Outcome:
        async with self._slots:
            run = live.run.model_copy(update={"state": RunState.RUNNING, "start_time": now()})
            await asyncio.to_thread(self._store.update, run)
            self._observer.run_started()
            live.change(run=run)
            self._tell_queue()
            return await attempt(
                run,
                self._processes,
                self._surroundings.train(run),
                on_progress=lambda progress: live.change(progress=progress),
                on_epoch=lambda record: self._epoch_ended(live, record),
            )

    async def _epoch_ended(self, live: LiveRun, record: EpochRecord) -> None:
        await asyncio.to_thread(self._store.add_epoch, live.run.id, record)
        self._observer.epoch_ended(live.run, record)
        live.change(epoch=record)

    async def _supervise(self, live: LiveRun) -> None:
        """Never cancelled: whatever happens to the attempt, the run gets its end and the store knows it."""
        run_id = live.run.id
        try:
            outcome = await self._attempts[run_id]
        except asyncio.CancelledError:
            outcome = Outcome(RunState.CANCELLED, error=self._cancelled.get(run_id))
        except LoopbenchServerError as error:
            outcome = Outcome(RunState.FAILED, error=error_of(type(error), str(error)))
        except WorkerDiedError as error:
            outcome = Outcome(RunState.FAILED, error=error_of(WorkerLostError, str(error)))
        except Exception:
            log.exception("run failed", run_id=run_id)
            outcome = Outcome(RunState.FAILED, error=error_of(RunFailedError, "the server failed; its log says how"))
        await self._finish(live, outcome)

    async def _finish(self, live: LiveRun, outcome: Outcome) -> None:
        had_slot = live.run.state is RunState.RUNNING
        run = _ended(live.run, outcome)
        try:
            await asyncio.to_thread(self._store.update, run, outcome.weights)
        except Exception:
            # What is not stored has not been achieved: nobody is told of a result that would be lost.
            log.exception("run not stored", run_id=run.id)
            run = _ended(run, Outcome(RunState.FAILED, error=error_of(StoreFailedError, "the run could not be stored")))
        for kept in (self._live, self._attempts, self._supervisors, self._cancelled):
            kept.pop(run.id, None)
        self._observer.run_ended(run, had_slot=had_slot)
        live.change(run=run)
        self._tell_queue()
        reason = run.error.reason if run.error else None
        log.info("run ended", run_id=run.id, request_id=run.request_id, state=run.state, reason=reason)

    async def _poll(self, run_id: str) -> Run:
        # Another server works on the run: its store is all that is shared.
        while not (run := await asyncio.to_thread(self._store.get, run_id)).state.ended:  # noqa: ASYNC110  no event here
            await asyncio.sleep(SECONDS_BETWEEN_POLLS)
        return run


def _ended(run: Run, outcome: Outcome) -> Run:
    return run.model_copy(
        update={"state": outcome.state, "end_time": now(), "result": outcome.result, "error": outcome.error}
    )
