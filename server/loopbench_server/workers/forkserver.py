"""The forkserver from the server's side: started, asked for workers, and replaced when it stops responding."""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import structlog

from loopbench_server.errors import NotReadyError
from loopbench_server.workers import stop_signals
from loopbench_server.workers.environment import make_environment
from loopbench_server.workers.forkserver_program import PING, REQUEST, RESPONSE

log = structlog.get_logger()

PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from loopbench_server.workers.forkserver_program import main; "
    "main({fd}, {data_dir!r})"
)
POLL_INTERVAL_SECONDS = 1.0
# Polls, one per second, of a forkserver that owes a response. Without processor time it is stopped or hung: the import
# of TensorFlow uses processor time all along.
MAX_IDLE_POLLS = 10
# Polls of a forkserver that uses processor time and does not respond.
MAX_POLLS = 120
# Time to end after SIGKILL, and after the server has closed the socket.
KILL_TIMEOUT_SECONDS, CLOSE_TIMEOUT_SECONDS = 5.0, 2.0


class _BrokenError(Exception):
    """The forkserver has to be replaced."""


class Forkserver:
    """Holds one process at a time. ``broken`` is set while the last request failed or the process has ended."""

    def __init__(self, data_dir: Path | None) -> None:
        self._data_dir = str(data_dir) if data_dir else None
        self.broken = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None
        # One request at a time: a response always belongs to the last request.
        self._lock = asyncio.Lock()
        self._failures = 0
        self._closed = False

    async def fork(self, task_pipe: int, message_pipe: int, *, optional: bool = False) -> int:
        """Return the process id of a new worker that owns the two pipe descriptors.

        A forkserver that does not respond is killed and replaced once. If the machine refuses an ``optional`` process,
        ``broken`` stays as it is.

        Raises:
            NotReadyError: the second forkserver did not respond either, or the machine refuses a process.
        """
        failures = self._failures
        async with self._lock:
            if self._closed:
                raise NotReadyError("no worker process can be started: the server is shutting down")
            for _ in range(2):
                # A request that waited while another one failed shares its failure.
                if self._failures != failures:
                    break
                try:
                    pid = await self._request_worker(task_pipe, message_pipe)
                except OSError as error:
                    await self._discard(f"its socket is broken: {error.strerror}")
                except _BrokenError as error:
                    await self._discard(str(error))
                else:
                    return self._check_pid(pid, optional=optional)
            else:
                self._failures += 1
        raise NotReadyError("no worker process can be started: the forkserver does not respond")

    async def check(self) -> None:
        """Ping the forkserver, if one runs, and kill it if it does not respond."""
        async with self._lock:
            if self._process and self._process.returncode is None and self._control:
                try:
                    self._control.send(PING)
                    await self._read_response(self._control)
                except OSError as error:
                    await self._discard(f"its socket is broken: {error.strerror}")
                except _BrokenError as error:
                    await self._discard(str(error))

    def _check_pid(self, response: int, *, optional: bool) -> int:
        if response > 0:
            self.broken.clear()
            return response
        if not optional:
            self.broken.set()
            log.error("the machine refuses a worker process", error=os.strerror(-response))
        raise NotReadyError(f"no worker process can be started: {os.strerror(-response)}")

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
        with child, stop_signals.blocked():
            program = PROGRAM.format(path=sys.path, fd=child.fileno(), data_dir=self._data_dir)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                program,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(child.fileno(),),
                env=make_environment(os.environ),
            )
        self._watching = asyncio.create_task(self._watch(self._process))
        return self._control

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if process is self._process:
            log.error("forkserver ended", pid=process.pid, exit_code=code)
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
                    raise _BrokenError(f"no response and no processor time for {MAX_IDLE_POLLS} s")
            raise _BrokenError(f"no response for {MAX_POLLS} s")
        finally:
            response.cancel()

    def _processor_seconds(self) -> float:
        assert self._process is not None
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return float(times.user + times.system)
        return 0.0

    async def _discard(self, cause: str) -> None:
        """Kill the forkserver by its id, and log the cause."""
        process, self._process = self._process, None
        self.broken.set()
        log.error("forkserver is being replaced", pid=process.pid if process else None, cause=cause)
        if process:
            await _kill(process)

    async def close(self) -> None:
        """Let the forkserver end, or kill it after a time limit. No other forkserver starts."""
        self._closed = True
        process, self._process = self._process, None
        if self._control:
            self._control.close()
        if process and process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), CLOSE_TIMEOUT_SECONDS)
            except TimeoutError:
                log.warning("forkserver does not end and is killed", pid=process.pid)
                await _kill(process)


async def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    try:
        await asyncio.wait_for(process.wait(), KILL_TIMEOUT_SECONDS)
    except TimeoutError:
        log.error("forkserver survives SIGKILL: the system holds it", pid=process.pid)  # noqa: TRY400  a traceback would not help
