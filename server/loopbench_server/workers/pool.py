"""Worker processes from the server's side: forked from a warm forkserver, read over a pipe, killed at any time."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection

import psutil
import structlog

from loopbench_server.blocking import run_process_io, shielded
from loopbench_server.errors import NotReadyError
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.forkserver import Forkserver
from loopbench_server.workers.protocol import MESSAGE, Message, Task, Trained

log = structlog.get_logger()

# Kinds of the last message of a process.
FINAL_MESSAGES = ("trained", "evaluated", "diagnosed", "described", "failed")
# Time for a worker to read its task.
TASK_TIMEOUT_SECONDS = 60.0
# Time that a start may still take after its caller has left.
START_CANCEL_TIMEOUT_SECONDS = 2.0
# Time for a killed process to end, and then for the forkserver to reap it. Nothing depends on either: a process that
# the system holds, or a zombie, uses no processor time.
KILL_TIMEOUT_SECONDS, REAP_TIMEOUT_SECONDS = 5.0, 0.5
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.001, 0.02


class WorkerDiedError(Exception):
    """The process ended without a final message: it was killed, or it crashed."""


class Worker:
    """A running worker process."""

    def __init__(self, pid: int, message_pipe: Connection, task_pipe: Connection) -> None:
        self.pid = pid
        self._message_pipe = message_pipe
        self._task_pipe = task_pipe
        self._process: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):  # it may have crashed already
            # psutil compares the id and the start time, as another process may get the id later.
            self._process = psutil.Process(pid)

    def send_task(self, task: str, weights: bytes) -> None:
        """Send the task. Blocks until the process has read it or has ended.

        Raises:
            OSError: the process has ended.
        """
        self._task_pipe.send_bytes(task.encode())
        self._task_pipe.send_bytes(weights)

    async def messages(self) -> AsyncIterator[tuple[Message, bytes]]:
        """Yield each message, with the packed weights that follow :class:`Trained`, or with no bytes.

        Raises:
            WorkerDiedError: the process ended without a final message.
        """
        closed = False
        while True:
            try:
                message = MESSAGE.validate_json(await run_process_io(self._message_pipe.recv_bytes))
                attachment = b""
                if isinstance(message, Trained):
                    attachment = await run_process_io(self._message_pipe.recv_bytes)
            except (EOFError, OSError) as error:
                if closed:
                    return
                raise WorkerDiedError("worker process ended without a response") from error
            closed = message.kind in FINAL_MESSAGES
            yield message, attachment

    async def kill(self) -> None:
        """Kill the process and wait for its end, for a limited time."""
        if self._process:
            with suppress(psutil.Error):
                self._process.kill()
            if not await _poll_until(self._has_ended, KILL_TIMEOUT_SECONDS):
                log.error("worker process survives SIGKILL: the system holds it", pid=self.pid)
                return  # its pipes stay open: a thread may be reading them
            await _poll_until(self._is_reaped, REAP_TIMEOUT_SECONDS)
        self._message_pipe.close()
        self._task_pipe.close()

    def _is_reaped(self) -> bool:
        return self._process is None or not self._process.is_running()

    def _has_ended(self) -> bool:
        try:
            return self._is_reaped() or (self._process is not None and self._process.status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True


async def _poll_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether ``condition`` is met within ``seconds``."""
    end, pause = time.monotonic() + seconds, MIN_PAUSE_SECONDS
    while not condition():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
    return True


class WorkerPool:
    """Starts worker processes; a start that exceeds the time limit of ``config`` is given up."""

    def __init__(self, config: WorkerConfig) -> None:
        # TensorFlow's greeting repeats what each result says.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        self._forkserver = Forkserver(config.data_dir)
        self._start_seconds = config.limits.seconds
        self._released: set[asyncio.Task[None]] = set()

    async def wait_broken(self) -> None:
        """Return when the forkserver has ended or has failed to start a worker since the last successful start."""
        await self._forkserver.broken.wait()

    async def check(self) -> None:
        """Replace a forkserver that does not respond, also while no worker is requested."""
        await self._forkserver.check()

    async def close(self) -> None:
        """End the forkserver; no process starts afterwards."""
        await self._forkserver.close()

    async def _start(self, task: Task, weights: bytes) -> Worker:
        message_pipe, child_message_pipe = multiprocessing.Pipe(duplex=False)
        child_task_pipe, task_pipe = multiprocessing.Pipe(duplex=False)
        with child_message_pipe, child_task_pipe:
            try:
                pid = await self._forkserver.fork(child_task_pipe.fileno(), child_message_pipe.fileno())
            except BaseException:
                message_pipe.close()
                task_pipe.close()
                raise
        worker = Worker(pid, message_pipe, task_pipe)
        try:
            sending = run_process_io(worker.send_task, task.model_dump_json(), weights)
            await asyncio.wait_for(sending, TASK_TIMEOUT_SECONDS)
        except TimeoutError:  # before OSError, its base class
            await worker.kill()
            raise NotReadyError(f"worker process did not read its task within {TASK_TIMEOUT_SECONDS:g} s") from None
        except OSError:
            pass  # the process crashed; reading its messages shows that
        return worker

    @asynccontextmanager
    async def run(self, task: Task, weights: bytes = b"") -> AsyncIterator[Worker]:
        """Yield a process that works on ``task``; it is killed when the block ends, for whatever reason.

        Raises:
            NotReadyError: no process can be started.
        """
        starting = asyncio.create_task(self._start(task, weights))
        try:
            await asyncio.wait({starting}, timeout=self._start_seconds)
            if not starting.done():
                raise NotReadyError(f"no worker process started within {self._start_seconds:g} s")
            yield starting.result()
        finally:
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


async def read_final_message(worker_process: Worker) -> Message:
    """Return the last message of a worker.

    Raises:
        WorkerDiedError: the process ended without a final message.
    """
    return [message async for message, _ in worker_process.messages()][-1]
