"""Runs evaluations and diagnoses, each in a worker process."""

import time
from typing import TypeVar

import structlog

from loopbench.spec import Model
from loopbench_server.errors import RunFailedError, WorkerLostError, from_reason
from loopbench_server.runs.limiter import ConcurrencyLimiter
from loopbench_server.worker_config import WorkerLimits
from loopbench_server.workers.limits import enforce_limits
from loopbench_server.workers.pool import WorkerDiedError, WorkerPool, read_final_message
from loopbench_server.workers.protocol import Failed, Task

log = structlog.get_logger()

Answer = TypeVar("Answer", bound=Model)


class TaskRunner(ConcurrencyLimiter):
    """As many at once as there are slots for runs, beside them: an answer takes seconds and need not queue.

    As many may wait as runs may. Whoever has a :meth:`turn` may :meth:`ask`.
    """

    def __init__(self, pool: WorkerPool, slots: int, queue_size: int, limits: WorkerLimits) -> None:
        super().__init__("evaluations and diagnoses", slots, queue_size)
        self._pool = pool
        self._limits = limits

    async def run(self, task: Task, answer: type[Answer], weights: bytes = b"", **about: str) -> Answer:
        """What a process answers to ``task``; it is ended when the caller goes away. Errors bear what it is ``about``.

        Raises:
            LoopbenchServerError: what the process ended with.
        """
        asked = time.monotonic()
        async with self._pool.run(task, weights) as worker:
            try:
                message = await enforce_limits(self._limits, worker, read_final_message(worker), asked)
            except WorkerDiedError as error:
                log.error("question failed", kind=task.kind, reason=WorkerLostError.reason)  # noqa: TRY400  it is ours
                raise WorkerLostError(str(error), **about) from error
        if isinstance(message, Failed):
            # A traceback is of a fault of ours; what is asked of a machine that cannot do it is none.
            tell = log.error if message.traceback else log.warning
            tell("question failed", kind=task.kind, reason=message.reason, traceback=message.traceback)
            raise from_reason(message.reason)(message.message, **about)
        if not isinstance(message, answer):
            raise RunFailedError(f"a process that is to {task.kind} does not answer {message.kind}", **about)
        return message
