"""Questions that worker processes answer beside the runs, each in a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from loopbench.spec import Model
from loopbench_server.errors import QueueFullError, RunFailedError, WorkerLostError, from_reason
from loopbench_server.runs.bounds import Bounds
from loopbench_server.runs.messages import Failed, Task
from loopbench_server.runs.processes import Processes, WorkerDiedError, closing_message

log = structlog.get_logger()

Answer = TypeVar("Answer", bound=Model)


class Questions:
    """As many at once as there are slots for runs, beside them: an answer takes seconds and need not queue.

    As many may wait as runs may.
    """

    def __init__(self, processes: Processes, slots: int, queue_size: int, bounds: Bounds) -> None:
        self._processes = processes
        self._slots = asyncio.Semaphore(slots)
        self._queue_size = queue_size
        self._waiting = 0
        self._bounds = bounds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Within the block it is the caller's turn to :meth:`ask`.

        Raises:
            QueueFullError: no more may wait.
        """
        if self._slots.locked() and self._waiting >= self._queue_size:
            raise QueueFullError(f"{self._waiting} evaluations and diagnoses wait, and no more may")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def ask(self, task: Task, answer: type[Answer], weights: bytes = b"", **about: str) -> Answer:
        """What a process answers to ``task``; it is ended when the caller goes away. Errors bear what it is ``about``.

        Raises:
            LoopbenchServerError: what the process ended with.
        """
        async with self._processes.run(task, weights) as worker:
            try:
                message = await self._bounds.hold(worker, closing_message(worker))
            except WorkerDiedError as error:
                log.error("question failed", kind=task.kind, reason=WorkerLostError.reason)  # noqa: TRY400  it is ours
                raise WorkerLostError(str(error), **about) from error
        if isinstance(message, Failed):
            log.error("question failed", kind=task.kind, reason=message.reason, traceback=message.traceback)
            raise from_reason(message.reason)(message.message, **about)
        if not isinstance(message, answer):
            raise RunFailedError(f"a process that is to {task.kind} does not answer {message.kind}", **about)
        return message
