"""Questions that worker processes answer beside the runs, each in a process of its own."""

import asyncio
from typing import TypeVar

import structlog

from loopbench.spec import Model
from loopbench_server.errors import RunFailedError, WorkerLostError, from_reason
from loopbench_server.runs.messages import Failed, Task
from loopbench_server.runs.processes import Processes, WorkerDiedError, closing_message

log = structlog.get_logger()

Answer = TypeVar("Answer", bound=Model)


class Questions:
    """As many at once as there are slots for runs, beside them: an answer takes seconds and need not queue."""

    def __init__(self, processes: Processes, slots: int) -> None:
        self._processes = processes
        self._slots = asyncio.Semaphore(slots)

    async def ask(self, task: Task, answer: type[Answer], weights: bytes = b"", **about: str) -> Answer:
        """What a process answers to ``task``; it is ended when the caller goes away. Errors bear what it is ``about``.

        Raises:
            LoopbenchServerError: what the process ended with.
        """
        async with self._slots, self._processes.run(task, weights) as worker:
            try:
                message = await closing_message(worker)
            except WorkerDiedError as error:
                log.error("question failed", kind=task.kind, reason=WorkerLostError.reason)  # noqa: TRY400  it is ours
                raise WorkerLostError(str(error), **about) from error
        if isinstance(message, Failed):
            log.error("question failed", kind=task.kind, reason=message.reason, traceback=message.traceback)
            raise from_reason(message.reason)(message.message, **about)
        if not isinstance(message, answer):
            raise RunFailedError(f"a process that is to {task.kind} does not answer {message.kind}", **about)
        return message
