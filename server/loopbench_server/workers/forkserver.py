"""The forkserver as the server sees it: started, asked for processes, and replaced where it gives no answer."""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import structlog

from loopbench_server.errors import NotReadyError
from loopbench_server.workers.forkserver_program import REQUEST, RESPONSE

log = structlog.get_logger()

PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from loopbench_server.workers.forkserver_program import main; "
    "main({fd}, {data_dir!r})"
)
POLL_INTERVAL_SECONDS = 1.0
# Looks, one a second, at a forkserver that owes an answer: without processor time it is stopped or hung. The import of
# TensorFlow takes processor time all along.
MAX_IDLE_POLLS = 10
# The same for one that works and gives no answer.
MAX_POLLS = 120
# Seconds to end after SIGKILL, and after the server has closed the socket.
KILL_TIMEOUT_SECONDS, CLOSE_TIMEOUT_SECONDS = 5.0, 2.0


class _BrokenError(Exception):
    """The forkserver has to be replaced."""


class Forkserver:
    """One process at a time. ``broken`` is set where it has ended or gave no worker, until it gives one again."""

    def __init__(self, data_dir: Path | None) -> None:
        self._data_dir = str(data_dir) if data_dir else None
        self.broken = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None
        # One request at a time, so that an answer is that of the last request.
        self._lock = asyncio.Lock()
        self._failures = 0
        self._closed = False

    async def fork(self, task_pipe: int, message_pipe: int) -> int:
        """The process id of a new worker that has these two descriptors.

        A forkserver that does not answer is killed, and a second one is asked.

        Raises:
            NotReadyError: the second did not answer either, or the machine refuses a process.
        """
        failures = self._failures
        async with self._lock:
            if self._closed:
                raise NotReadyError("no training process can be started: the server shuts down")
            for _ in range(2):
                # Whoever waited while another request failed shares its end.
                if self._failures != failures:
                    break
                try:
                    pid = await self._request_worker(task_pipe, message_pipe)
                except OSError as error:
                    await self._discard(f"the socket to it is broken: {error.strerror}")
                except _BrokenError as error:
                    await self._discard(str(error))
                else:
                    return self._check_pid(pid)
            else:
                self._failures += 1
        raise NotReadyError("no training process can be started: the forkserver does not answer")

    def _check_pid(self, response: int) -> int:
        if response > 0:
            self.broken.clear()
            return response
        self.broken.set()
        log.error("the machine refuses a training process", error=os.strerror(-response))
        raise NotReadyError(f"no training process can be started: {os.strerror(-response)}")

    async def _request_worker(self, task_pipe: int, message_pipe: int) -> int:
        control = self._control if self._process and self._process.returncode is None else None
        if control is None:
            control = await self._start()
            await self._read_response(control)
        socket.send_fds(control, [REQUEST], [task_pipe, message_pipe])
        return await self._read_response(control)

    async def _start(self) -> socket.socket:
        if self._control:
            self._control.close()
        self._control, child = socket.socketpair()
        self._control.setblocking(False)
        with child:
            program = PROGRAM.format(path=sys.path, fd=child.fileno(), data_dir=self._data_dir)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, stdin=asyncio.subprocess.DEVNULL, pass_fds=(child.fileno(),)
            )
        self._watching = asyncio.create_task(self._watch(self._process))
        return self._control

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if process is self._process:
            log.error("the forkserver ended", pid=process.pid, exit_code=code)
            self.broken.set()

    async def _read_response(self, control: socket.socket) -> int:
        response = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(control, RESPONSE.size))
        used, idle = -1.0, 0
        try:
            for _ in range(MAX_POLLS):
                await asyncio.wait({response}, timeout=POLL_INTERVAL_SECONDS)
                if response.done():
                    if not response.result():
                        raise _BrokenError("it closed its socket")
                    pid: int
                    (pid,) = RESPONSE.unpack(response.result())
                    return pid
                before, used = used, self._processor_seconds()
                idle = idle + 1 if used == before else 0
                if idle == MAX_IDLE_POLLS:
                    raise _BrokenError(f"no answer, and no processor time, for {MAX_IDLE_POLLS} s")
            raise _BrokenError(f"no answer for {MAX_POLLS} s")
        finally:
            response.cancel()

    def _processor_seconds(self) -> float:
        assert self._process is not None
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return float(times.user + times.system)
        return 0.0

    async def _discard(self, cause: str) -> None:
        """Kill the forkserver, by its id, for ``cause``."""
        process, self._process = self._process, None
        self.broken.set()
        log.error("the forkserver is replaced", pid=process.pid if process else None, cause=cause)
        if process:
            await _kill(process)

    async def close(self) -> None:
        """Let the forkserver end; kill it where it does not. No other one starts."""
        self._closed = True
        process, self._process = self._process, None
        if self._control:
            self._control.close()
        if process and process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), CLOSE_TIMEOUT_SECONDS)
            except TimeoutError:
                log.warning("the forkserver does not end and is killed", pid=process.pid)
                await _kill(process)


async def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    try:
        await asyncio.wait_for(process.wait(), KILL_TIMEOUT_SECONDS)
    except TimeoutError:
        log.error("the forkserver outlives SIGKILL: the system holds it", pid=process.pid)  # noqa: TRY400  no traceback is of use
