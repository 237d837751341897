"""One attempt of a run: a worker process from its start to an outcome."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from loopbench.spec import EpochRecord, Progress, Result, Run, RunError, RunState
from loopbench_server.errors import LoopbenchServerError, from_reason
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.limits import enforce_limits
from loopbench_server.workers.pool import WorkerPool
from loopbench_server.workers.protocol import EpochEnded, Failed, PhaseBegan, Progressed, Started, Task, Trained
from loopbench_server.workers.worker import Worker, WorkerDiedError

log = structlog.get_logger()


@dataclass(frozen=True)
class Outcome:
    """End of an attempt: SUCCEEDED with a result and packed weights, or FAILED or CANCELLED with an error."""

    state: RunState
    result: Result | None = None
    weights: bytes = b""
    error: RunError | None = None


def now(not_before: datetime | None = None) -> datetime:
    """Return the current time in UTC, but never a time before ``not_before``: the clock may have been set back."""
    present = datetime.now(UTC)
    return max(present, not_before) if not_before else present


def make_error(error: type[LoopbenchServerError], message: str) -> RunError:
    """Return the stored form of an error."""
    return RunError(reason=error.reason, message=message, retryable=error.retryable, hint=error.hint)


async def run_attempt(
    run: Run,
    pool: WorkerPool,
    config: WorkerConfig,
    *,
    queue_seconds: float,
    on_phase: Callable[[str, float], None],
    on_progress: Callable[[Progress], None],
    on_epoch: Callable[[EpochRecord], Awaitable[None]],
) -> Outcome:
    """Train ``run``, which is RUNNING, in a process that has ended when this function returns or raises.

    Durations use the monotonic clock. ``queue_seconds`` is the time that the run waited for a slot.

    Raises:
        NotReadyError: no process can be started.
        TimeExceededError, MemoryExceededError: the process exceeded a limit.
        WorkerDiedError: the process ended without a final message.
    """
    asked = time.monotonic()
    async with pool.run(Task(kind="train", config=config, spec=run.spec, run_id=run.id)) as worker:
        log.info("run started", pid=worker.pid)
        times = _QueueTimes(queue_seconds, asked)
        listening = _read_messages(worker, times, on_phase, on_progress, on_epoch)
        return await enforce_limits(config.limits, worker, listening, asked)


@dataclass
class _QueueTimes:
    """Times that the process cannot know: how long the run waited, and when the server asked for the process."""

    queue_seconds: float
    asked: float
    start_seconds: float = 0.0

    def started(self, time: float) -> None:
        self.start_seconds = max(0.0, time - self.asked)

    def added_to(self, result: Result) -> Result:
        phases = result.phases.model_copy(
            update={
                "queue_seconds": self.queue_seconds,
                "start_seconds": result.phases.start_seconds + self.start_seconds,
            }
        )
        return result.model_copy(update={"phases": phases})


async def _read_messages(
    worker: Worker,
    times: _QueueTimes,
    on_phase: Callable[[str, float], None],
    on_progress: Callable[[Progress], None],
    on_epoch: Callable[[EpochRecord], Awaitable[None]],
) -> Outcome:
    async for message, attachment in worker.messages():
        match message:
            case Started():
                times.started(message.monotonic)
            case PhaseBegan():
                on_phase(message.phase, message.time)
            case Progressed():
                on_progress(message.progress)
            case EpochEnded():
                await on_epoch(message.record)
            case Trained():
                return Outcome(RunState.SUCCEEDED, result=times.added_to(message.result), weights=attachment)
            case Failed():
                log_failure = log.error if message.traceback else log.warning
                log_failure("run failed", reason=message.reason, traceback=message.traceback)
                return Outcome(RunState.FAILED, error=make_error(from_reason(message.reason), message.message))
            case _:
                raise AssertionError(f"a worker that trains does not send {message.kind}")
    raise WorkerDiedError("worker process ended without a result")
