"""Standby workers: processes that are prepared for a run before its specification is known."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from loopbench.spec import Device
from loopbench_server.blocking import shielded
from loopbench_server.errors import LoopbenchServerError
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Failed, Prepared, Task
from loopbench_server.workers.worker import Worker, WorkerDiedError

log = structlog.get_logger()

Start = Callable[[Task], Coroutine[Any, Any, Worker]]
Release = Callable[[asyncio.Task[Worker]], Coroutine[Any, Any, None]]

# Time from a change until slots are counted. The next queued run takes a slot sooner, and would compete with the
# preparation.
SETTLE_SECONDS = 0.2
# Time for a process to prepare.
PREPARE_TIMEOUT_SECONDS = 120.0
# Pause after a failure; it doubles with each further one, until a run takes a process.
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 300.0
MAX_DOUBLINGS = 10


class _NotPreparedError(Exception):
    """The process cannot prepare."""


class StandbyWorkers:
    """Prepared processes with the same devices, of which each takes one run.

    Args:
        start: starts a process with a task; never cancelled.
        release: ends a process that has started, or that starts later.
        config: settings of the processes; they are for the GPU of its slot, or for the CPU if it has none.
        wanted: returns the number of processes to keep now; call :meth:`update` when it changes.
    """

    def __init__(self, start: Start, release: Release, config: WorkerConfig, wanted: Callable[[], int]) -> None:
        self._start = start
        self._release = release
        self._task = Task(kind="prepare", config=config)
        self._wanted = wanted
        self._sees_gpu = False
        # Each process is the result of its start.
        self._ready: list[asyncio.Task[Worker]] = []
        self._changed = asyncio.Event()
        self._failures = 0
        self._retry_time = 0.0
        self._ending: set[asyncio.Task[None]] = set()

    def take(self, task: Task) -> Worker | None:
        """Return a process that can run ``task``, if there is one. It then belongs to the caller."""
        for started in self._ready if self.suits(task) else ():
            if not started.result().has_ended():
                self._remove(started)
                self._failures, self._retry_time = 0, 0.0
                self.update()
                return started.result()
        return None

    def suits(self, task: Task) -> bool:
        """Return whether the processes can run ``task``: their devices can no longer change."""
        if task.kind != "train" or task.spec is None or task.spec.replicas > 1:
            return False
        if not self._sees_gpu:
            return True
        slots = task.config.gpu_slots
        return slots == self._task.config.gpu_slots and bool(slots or task.spec.device is Device.CPU)

    def update(self) -> None:
        """Prepare more processes, if more are wanted now."""
        self._changed.set()

    @asynccontextmanager
    async def kept(self, *, sees_gpu: bool) -> AsyncIterator[None]:
        """Keep the wanted number of processes within the block; none remains after it.

        ``sees_gpu`` says whether TensorFlow sees a GPU. Without one, there are no processes for GPUs.
        """
        self._sees_gpu = sees_gpu
        if self._task.config.gpu_slots and not sees_gpu:
            yield
            return
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            left = [*self._ready]
            for started in left:  # all at once: meanwhile, none can be taken or replaced
                self._remove(started)
            await asyncio.gather(*map(self._release, left))

    async def _keep(self) -> None:
        while True:
            self._changed.clear()
            await asyncio.sleep(max(SETTLE_SECONDS, self._retry_time - time.monotonic()))
            if len(self._ready) >= self._wanted():
                await self._changed.wait()
            else:
                await self._add()

    async def _add(self) -> None:
        """Prepare a process."""
        starting = asyncio.create_task(self._start(self._task))
        try:
            await asyncio.wait({starting})
            async with asyncio.timeout(PREPARE_TIMEOUT_SECONDS):
                await _wait_prepared(starting.result())
        # OSError and RuntimeError: the system refuses a file or a thread. TimeoutError is an OSError.
        except (LoopbenchServerError, WorkerDiedError, _NotPreparedError, OSError, RuntimeError) as error:
            await shielded(self._release(starting))
            self._fail(str(error) or f"not prepared within {PREPARE_TIMEOUT_SECONDS:g} s")
            return
        except BaseException:
            await shielded(self._release(starting))
            raise
        worker = starting.result()
        self._ready.append(starting)
        worker.on_message(lambda: self._lose(starting))
        log.debug("standby worker ready", pid=worker.pid, gpu_slots=self._task.config.gpu_slots)

    def _remove(self, started: asyncio.Task[Worker]) -> None:
        self._ready.remove(started)
        started.result().on_message(None)

    def _lose(self, started: asyncio.Task[Worker]) -> None:
        """Replace a process that has ended before its run."""
        self._remove(started)
        self._fail("its process ended")
        ending = asyncio.create_task(self._release(started))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        self.update()

    def _fail(self, cause: str) -> None:
        self._failures = min(self._failures + 1, MAX_DOUBLINGS)
        pause = min(MIN_RETRY_SECONDS * 2.0**self._failures, MAX_RETRY_SECONDS)
        self._retry_time = time.monotonic() + pause
        log.warning("standby worker lost", cause=cause, next_try_seconds=pause)


async def _wait_prepared(worker: Worker) -> None:
    """Return when a process is prepared.

    Raises:
        _NotPreparedError, WorkerDiedError: the process cannot prepare, or has ended.
    """
    async for message, _ in worker.messages():
        match message:
            case Prepared():
                return
            case Failed():
                raise _NotPreparedError(message.message)
    raise WorkerDiedError("worker process ended without a response")
