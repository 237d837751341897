"""Worker processes as the server sees them: forked from a warm forkserver, read over a pipe, killed at any time."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import structlog

from loopbench_server.errors import NotReadyError
from loopbench_server.runs.forkserver import Forkserver
from loopbench_server.runs.messages import MESSAGE, Message, Task, Trained
from loopbench_server.runs.threads import for_processes, to_the_end

log = structlog.get_logger()

# Messages after which a process says no more.
CLOSING = ("trained", "evaluated", "diagnosed", "described", "failed")
# Seconds for a worker to take in its orders.
ORDER_SECONDS = 60.0
# Seconds that a start under way may take once nobody waits for its worker.
ABANDON_SECONDS = 2.0
# Seconds for a killed process to end, and then for the forkserver to reap it. Nothing depends on either: a process that
# the system holds in the kernel, or a zombie, uses no processor time.
END_SECONDS, REAP_SECONDS = 5.0, 0.5
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.02


class WorkerDiedError(Exception):
    """The process ended without an answer: it was killed, or it crashed."""


class Worker:
    """A running worker process."""

    def __init__(self, pid: int, answers: Connection, orders: Connection) -> None:
        self.pid = pid
        self._answers = answers
        self._orders = orders
        self._process: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):  # it may have crashed already
            # By its id and the time of its start: another process may get the id later.
            self._process = psutil.Process(pid)

    def order(self, task: str, weights: bytes) -> None:
        """Send the task. Blocks until the process has taken it in, or is gone.

        Raises:
            OSError: it is gone.
        """
        self._orders.send_bytes(task.encode())
        self._orders.send_bytes(weights)

    async def messages(self) -> AsyncIterator[tuple[Message, bytes]]:
        """Each message, with the packed weights that follow :class:`Trained` and no bytes after others.

        Raises:
            WorkerDiedError: the process ended without a closing message.
        """
        closed = False
        while True:
            try:
                message = MESSAGE.validate_json(await for_processes(self._answers.recv_bytes))
                attachment = b""
                if isinstance(message, Trained):
                    attachment = await for_processes(self._answers.recv_bytes)
            except (EOFError, OSError) as error:
                if closed:
                    return
                raise WorkerDiedError("the training process ended without an answer") from error
            closed = message.kind in CLOSING
            yield message, attachment

    async def end(self) -> None:
        """Kill the process and wait until it is gone, for a limited time."""
        if self._process:
            with suppress(psutil.Error):
                self._process.kill()
            if not await _comes_true(self._has_ended, END_SECONDS):
                log.error("a training process outlives SIGKILL: the system holds it", pid=self.pid)
                return  # its pipes stay open: a thread may wait for them
            await _comes_true(self._is_reaped, REAP_SECONDS)
        self._answers.close()
        self._orders.close()

    def _is_reaped(self) -> bool:
        return self._process is None or not self._process.is_running()

    def _has_ended(self) -> bool:
        try:
            return self._is_reaped() or (self._process is not None and self._process.status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True


async def _comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether ``condition`` is met within ``seconds``."""
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while not condition():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return True


class Processes:
    """Starts worker processes; ``data_dir`` is where MNIST is looked for first.

    A process that does not start within ``start_seconds`` is given up.
    """

    def __init__(self, data_dir: Path | None, start_seconds: float) -> None:
        # TensorFlow's greeting says nothing that a run's result does not.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if data_dir:
            # The forkserver runs imports and nothing else, so that its environment is all that it can be told by.
            os.environ["LOOPBENCH_DATA_DIR"] = str(data_dir)
        self._forkserver = Forkserver()
        self._start_seconds = start_seconds
        self._abandoned: set[asyncio.Task[None]] = set()

    async def broke(self) -> None:
        """Return when the forkserver has ended, or gave no process, since a process last started."""
        await self._forkserver.broken.wait()

    async def check(self) -> None:
        """Replace a forkserver that gives no answer, also where nobody wants a process."""
        await self._forkserver.check()

    async def close(self) -> None:
        """End the forkserver; no process starts afterwards."""
        await self._forkserver.close()

    async def _start(self, task: Task, weights: bytes) -> Worker:
        answers, child_answers = multiprocessing.Pipe(duplex=False)
        child_orders, orders = multiprocessing.Pipe(duplex=False)
        with child_answers, child_orders:
            try:
                pid = await self._forkserver.fork(child_orders.fileno(), child_answers.fileno())
            except BaseException:
                answers.close()
                orders.close()
                raise
        worker = Worker(pid, answers, orders)
        try:
            ordering = for_processes(worker.order, task.model_dump_json(), weights)
            await asyncio.wait_for(ordering, ORDER_SECONDS)
        except TimeoutError:  # before OSError, of which it is one
            await worker.end()
            raise NotReadyError(f"a training process did not take its task within {ORDER_SECONDS:g} s") from None
        except OSError:
            pass  # the process crashed; reading its messages shows that
        return worker

    @asynccontextmanager
    async def run(self, task: Task, weights: bytes = b"") -> AsyncIterator[Worker]:
        """A process that works on ``task``; it is killed and gone when the block is left, whatever the reason.

        Raises:
            NotReadyError: no process can be started.
        """
        starting = asyncio.create_task(self._start(task, weights))
        try:
            await asyncio.wait({starting}, timeout=self._start_seconds)
            if not starting.done():
                raise NotReadyError(f"no training process started within {self._start_seconds:g} s")
            yield starting.result()
        finally:
            await to_the_end(self._end(starting))

    async def _end(self, starting: asyncio.Task[Worker]) -> None:
        """Whoever leaves during the start does not wait for long: the worker is ended as soon as it is there."""
        await asyncio.wait({starting}, timeout=ABANDON_SECONDS)
        ending = asyncio.create_task(_ended(starting))
        if starting.done():
            await ending
        else:
            self._abandoned.add(ending)
            ending.add_done_callback(self._abandoned.discard)


async def _ended(starting: asyncio.Task[Worker]) -> None:
    await asyncio.wait({starting})
    if not starting.cancelled() and not starting.exception():
        await starting.result().end()


async def closing_message(worker_process: Worker) -> Message:
    """The last message of a worker.

    Raises:
        WorkerDiedError: it ended without one.
    """
    return [message async for message, _ in worker_process.messages()][-1]
