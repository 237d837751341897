"""Runs evaluations and diagnoses, each in a worker process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from loopbench.spec import Model
from loopbench_server.errors import DrainingError, RunFailedError, WorkerLostError, from_reason
from loopbench_server.runs.limiter import ConcurrencyLimiter
from loopbench_server.worker_config import WorkerLimits
from loopbench_server.workers.limits import enforce_limits
from loopbench_server.workers.pool import WorkerPool
from loopbench_server.workers.protocol import Failed, Task
from loopbench_server.workers.worker import WorkerDiedError, read_final_message

log = structlog.get_logger()

Response = TypeVar("Response", bound=Model)

# Time that a drain waits for the ends of cancelled tasks.
CANCEL_TIMEOUT_SECONDS = 4.0


@dataclass(eq=False)
class _Call:
    """A call that waits for a slot or holds one, and its deadline during a drain."""

    deadline: asyncio.Timeout
    has_slot: bool = False


class TaskRunner(ConcurrencyLimiter):
    """Runs as many tasks at the same time as there are slots for runs, beside these: a task takes seconds.

    As many tasks may wait as runs may. A caller that holds a :meth:`slot` may call :meth:`run`.
    """

    def __init__(self, pool: WorkerPool, slots: int, queue_size: int, limits: WorkerLimits) -> None:
        super().__init__("evaluations and diagnoses", slots, queue_size)
        self._pool = pool
        self._limits = limits
        self._draining = False
        self._calls: dict[asyncio.Task[Any], _Call] = {}

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot within the block, which a drain may end.

        Raises:
            QueueFullError: no more tasks may wait.
            DrainingError: the server is shutting down.
        """
        async with self._drainable() as call, super().slot():
            call.has_slot = True
            yield

    @asynccontextmanager
    async def _drainable(self) -> AsyncIterator[_Call]:
        if self._draining:
            raise DrainingError("the server is shutting down")
        task, deadline = asyncio.current_task(), asyncio.timeout(None)
        assert task is not None
        try:
            async with deadline:
                self._calls[task] = call = _Call(deadline)
                yield call
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DrainingError("the server shut down before the evaluation or diagnosis ended") from None
        finally:
            self._calls.pop(task, None)

    async def drain(self, seconds: float) -> None:
        """Refuse new tasks, end those that wait, and end those that still run after ``seconds``.

        Returns when their calls have ended, or a few seconds after that time.
        """
        self._draining = True
        now = asyncio.get_running_loop().time()
        for call in self._calls.values():
            call.deadline.reschedule(now + seconds if call.has_slot else now)
        if self._calls:
            await asyncio.wait(list(self._calls), timeout=seconds + CANCEL_TIMEOUT_SECONDS)

    async def run(self, task: Task, response: type[Response], weights: bytes = b"", **about: str) -> Response:
        """Return the worker's response to ``task``. If the caller leaves, the process is ended.

        ``about`` is metadata for errors.

        Raises:
            LoopbenchServerError: the error of the process.
        """
        asked = time.monotonic()
        async with self._pool.run(task, weights) as worker:
            try:
                message = await enforce_limits(self._limits, worker, read_final_message(worker), asked)
            except WorkerDiedError as error:
                log.error("task failed", kind=task.kind, reason=WorkerLostError.reason)  # noqa: TRY400  a traceback would not help
                raise WorkerLostError(str(error), **about) from error
        if isinstance(message, Failed):
            # Only an unexpected error has a traceback.
            log_failure = log.error if message.traceback else log.warning
            log_failure("task failed", kind=task.kind, reason=message.reason, traceback=message.traceback)
            raise from_reason(message.reason)(message.message, **about)
        if not isinstance(message, response):
            raise RunFailedError(f"unexpected response {message.kind} to {task.kind}", **about)
        return message
