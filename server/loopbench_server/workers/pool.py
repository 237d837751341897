"""Starts worker processes: standby workers, or new ones that the forkserver forks. A process is killed at any time."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog

from loopbench_server.blocking import run_process_io, shielded
from loopbench_server.errors import NotReadyError
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.forkserver import Forkserver
from loopbench_server.workers.protocol import Task
from loopbench_server.workers.standby import StandbyWorkers
from loopbench_server.workers.worker import Worker

log = structlog.get_logger()

# Time for a worker to read its task.
TASK_TIMEOUT_SECONDS = 60.0
# Time that a start may still take after its caller has left.
START_CANCEL_TIMEOUT_SECONDS = 2.0


class WorkerPool:
    """Starts worker processes; a start that exceeds the time limit of ``config`` is given up.

    Args:
        config: settings of the processes.
        slots: runs that train on the CPU at the same time.
        gpu_slots: runs that train on GPUs at the same time.
        standby_workers: processes to keep prepared for the CPU, at most one per free slot. Unless it is 0, one more is
            prepared for each GPU slot. See :meth:`standing_by`.
    """

    def __init__(self, config: WorkerConfig, slots: int = 0, gpu_slots: int = 0, standby_workers: int = 0) -> None:
        self._forkserver = Forkserver(config.data_dir)
        self._start_seconds = config.limits.seconds
        self._released: set[asyncio.Task[None]] = set()
        self._busy = 0
        make = partial(StandbyWorkers, partial(self._start_new, weights=b""), self._release)
        self._standby = [make(config, lambda: min(standby_workers, slots - self._busy))]
        if standby_workers:
            # A run on a GPU leaves cores free, and the preparation takes seconds, so it does not wait for a free slot.
            self._standby += [make(replace(config, gpu_slots=(number,)), lambda: 1) for number in range(gpu_slots)]

    async def wait_broken(self) -> None:
        """Return when the forkserver has ended or has failed to start a worker of a task since the last start."""
        await self._forkserver.broken.wait()

    @asynccontextmanager
    async def standing_by(self, *, sees_gpu: bool) -> AsyncIterator[None]:
        """Keep standby workers within the block, for GPUs only if ``sees_gpu``. A run takes one, if one is ready."""
        async with AsyncExitStack() as stack:
            for workers in self._standby:
                await stack.enter_async_context(workers.kept(sees_gpu=sees_gpu))
            yield

    async def check(self) -> None:
        """Replace a forkserver that does not respond, also while no worker is requested."""
        await self._forkserver.check()

    async def close(self) -> None:
        """End the forkserver; no process starts afterwards."""
        await self._forkserver.close()

    async def _start(self, task: Task, weights: bytes) -> Worker:
        for workers in self._standby:
            if standby := workers.take(task):
                if await _send_task(standby, task, weights):
                    return standby
                await standby.kill()  # it ended before its run
        return await self._start_new(task, weights)

    async def _start_new(self, task: Task, weights: bytes) -> Worker:
        # Runs start without standby workers, so the server stays ready.
        optional = task.kind == "prepare"
        try:
            worker = await self._fork(optional=optional)
        except OSError as error:  # such as the limit of open files
            if not optional:
                log.warning("the machine refuses the pipes of a worker process", error=error.strerror)
            raise NotReadyError(f"no worker process can be started: {error.strerror}") from error
        await _send_task(worker, task, weights)
        return worker

    async def _fork(self, *, optional: bool) -> Worker:
        with ExitStack() as ends, ExitStack() as child_ends:
            message_pipe, child_message_pipe = multiprocessing.Pipe(duplex=False)
            ends.enter_context(message_pipe)
            child_ends.enter_context(child_message_pipe)
            child_task_pipe, task_pipe = multiprocessing.Pipe(duplex=False)
            ends.enter_context(task_pipe)
            child_ends.enter_context(child_task_pipe)
            pipes = child_task_pipe.fileno(), child_message_pipe.fileno()
            worker = Worker(await self._forkserver.fork(*pipes, optional=optional), message_pipe, task_pipe)
            ends.pop_all()
            return worker

    @asynccontextmanager
    async def run(self, task: Task, weights: bytes = b"") -> AsyncIterator[Worker]:
        """Yield a process that works on ``task``; it is killed when the block ends, for whatever reason.

        Raises:
            NotReadyError: no process can be started.
        """
        holds_cpu = not task.config.gpu_slots
        self._busy += holds_cpu
        starting = asyncio.create_task(self._start(task, weights))
        try:
            await asyncio.wait({starting}, timeout=self._start_seconds)
            if not starting.done():
                raise NotReadyError(f"no worker process started within {self._start_seconds:g} s")
            yield starting.result()
        finally:
            self._busy -= holds_cpu
            self._standby[0].update()  # those for GPUs do not depend on free slots
            await shielded(self._release(starting))

    async def _release(self, starting: asyncio.Task[Worker]) -> None:
        """Kill the worker.

        A caller that leaves during the start waits briefly; the worker is then killed once it has started.
        """
        await asyncio.wait({starting}, timeout=START_CANCEL_TIMEOUT_SECONDS)
        ending = asyncio.create_task(_kill_started(starting))
        if starting.done():
            await ending
        else:
            self._released.add(ending)
            ending.add_done_callback(self._released.discard)


async def _kill_started(starting: asyncio.Task[Worker]) -> None:
    await asyncio.wait({starting})
    if not starting.cancelled() and not starting.exception():
        await starting.result().kill()


async def _send_task(worker: Worker, task: Task, weights: bytes) -> bool:
    """Return whether the process has its task; False if it has ended, which its messages show as well."""
    try:
        sending = run_process_io(worker.send_task, task.model_dump_json(), weights)
        await asyncio.wait_for(sending, TASK_TIMEOUT_SECONDS)
    except TimeoutError:  # before OSError, its base class
        await worker.kill()
        raise NotReadyError(f"worker process did not read its task within {TASK_TIMEOUT_SECONDS:g} s") from None
    except OSError:
        return False
    return True
