"""A worker process from the server's side: its task, its messages and its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import psutil
import structlog

from loopbench_server.blocking import run_process_io
from loopbench_server.workers.protocol import MESSAGE, Message, Trained

log = structlog.get_logger()

# Kinds of the last message of a process.
FINAL_MESSAGES = ("trained", "evaluated", "diagnosed", "described", "failed")
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

    def on_message(self, call: Callable[[], None] | None) -> None:
        """Call ``call`` when a message or the end of the process can be read, until None is given."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._message_pipe.fileno())
        if call:
            loop.add_reader(self._message_pipe.fileno(), call)

    async def kill(self) -> None:
        """Kill the process and wait for its end, for a limited time."""
        if self._process:
            with suppress(psutil.Error):
                self._process.kill()
            if not await _poll_until(self.has_ended, KILL_TIMEOUT_SECONDS):
                log.error("worker process survives SIGKILL: the system holds it", pid=self.pid)
                return  # its pipes stay open: a thread may be reading them
            await _poll_until(self._is_reaped, REAP_TIMEOUT_SECONDS)
        self._message_pipe.close()
        self._task_pipe.close()

    def _is_reaped(self) -> bool:
        return self._process is None or not self._process.is_running()

    def has_ended(self) -> bool:
        """Return whether the process has ended; a zombie has."""
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


async def read_final_message(worker_process: Worker) -> Message:
    """Return the last message of a worker.

    Raises:
        WorkerDiedError: the process ended without a final message.
    """
    return [message async for message, _ in worker_process.messages()][-1]
