"""Runs evaluations and diagnoses, each in a worker process."""

import time
from typing import TypeVar

import structlog

from loopbench.spec import Model
from loopbench_server.errors import RunFailedError, WorkerLostError, from_reason
from loopbench_server.runs.limiter import ConcurrencyLimiter
from loopbench_server.worker_config import WorkerLimits
from loopbench_server.workers.limits import enforce_limits
from loopbench_server.workers.pool import WorkerPool
from loopbench_server.workers.protocol import Failed, Task
from loopbench_server.workers.worker import WorkerDiedError, read_final_message

log = structlog.get_logger()

Response = TypeVar("Response", bound=Model)


class TaskRunner(ConcurrencyLimiter):
    """Runs as many tasks at the same time as there are slots for runs, beside these: a task takes seconds.

    As many tasks may wait as runs may. A caller that holds a :meth:`slot` may call :meth:`run`.
    """

    def __init__(self, pool: WorkerPool, slots: int, queue_size: int, limits: WorkerLimits) -> None:
        super().__init__("evaluations and diagnoses", slots, queue_size)
        self._pool = pool
        self._limits = limits

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
