"""Worker processes as the server sees them: forked from a warm forkserver, read over a pipe, killed at any time."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from loopbench_server.errors import NotReadyError
from loopbench_server.runs import worker
from loopbench_server.runs.messages import MESSAGE, Message, Task, Trained
from loopbench_server.runs.threads import for_processes, to_the_end

# Messages after which a process says no more.
CLOSING = ("trained", "evaluated", "diagnosed", "described", "failed")
PRELOAD = ["loopbench_server.runs.preload"]


class WorkerDiedError(Exception):
    """The process ended without an answer: it was killed, or it crashed."""


class Worker:
    """A running worker process."""

    def __init__(self, process: ForkServerProcess, connection: Connection, lifeline: Connection) -> None:
        self._process = process
        self._connection = connection
        self._lifeline = lifeline

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process.pid is not None
        return self._process.pid

    async def messages(self) -> AsyncIterator[tuple[Message, bytes]]:
        """Each message, with the packed weights that follow :class:`Trained` and no bytes after others.

        Raises:
            WorkerDiedError: the process ended without a closing message.
        """
        closed = False
        while True:
            try:
                message = MESSAGE.validate_json(await for_processes(self._connection.recv_bytes))
                attachment = b""
                if isinstance(message, Trained):
                    attachment = await for_processes(self._connection.recv_bytes)
            except (EOFError, OSError) as error:
                if closed:
                    return
                raise WorkerDiedError("the training process ended without an answer") from error
            closed = message.kind in CLOSING
            yield message, attachment

    async def end(self) -> None:
        """Kills the process, if it still runs, and waits until it is gone."""
        if self._process.is_alive():
            self._process.kill()
        # Where the forkserver is gone nothing tells of the process's end; then the closed lifeline ends it.
        self._lifeline.close()
        await for_processes(self._process.join)
        self._connection.close()
        self._process.close()


class Processes:
    """Starts worker processes; ``data_dir`` is where MNIST is looked for first, which they share."""

    def __init__(self, data_dir: Path | None) -> None:
        # TensorFlow's greeting says nothing that a run's result does not.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if data_dir:
            # The forkserver runs imports and nothing else, so that its environment is all that it can be told by.
            os.environ["LOOPBENCH_DATA_DIR"] = str(data_dir)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)

    async def warm_up(self) -> None:
        """Starts the forkserver, which then imports TensorFlow on its own."""
        await for_processes(forkserver.ensure_running)

    def _start(self, task: Task, weights: bytes) -> Worker:
        connection, child_connection = self._context.Pipe(duplex=False)
        child_lifeline, lifeline = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=worker.main,
            args=(task.model_dump_json(), weights, child_connection, child_lifeline),
            name=f"loopbench-{task.kind}",
            daemon=True,
        )
        try:
            _start_from_forkserver(process)
        except (OSError, EOFError) as error:
            connection.close()
            lifeline.close()
            raise NotReadyError(f"the training process does not start: {error}") from error
        finally:
            child_connection.close()
            child_lifeline.close()
        return Worker(process, connection, lifeline)

    @asynccontextmanager
    async def run(self, task: Task, weights: bytes = b"") -> AsyncIterator[Worker]:
        """A process that works on ``task``; it is gone when the block is left, whatever the reason.

        Raises:
            NotReadyError: no process can be started.
        """
        starting = asyncio.create_task(for_processes(self._start, task, weights))
        try:
            worker_process = await to_the_end(starting)
            yield worker_process
        finally:
            # Whoever is cancelled during the start leaves behind what was started.
            if starting.done() and not starting.cancelled() and not starting.exception():
                await to_the_end(starting.result().end())


def _start_from_forkserver(process: ForkServerProcess) -> None:
    """Starts ``process``; a forkserver that has died is noticed by the first attempt and replaced for the second."""
    try:
        process.start()
    except (OSError, EOFError):
        process.start()


async def closing_message(worker_process: Worker) -> Message:
    """The last message of a worker.

    Raises:
        WorkerDiedError: it ended without one.
    """
    return [message async for message, _ in worker_process.messages()][-1]
