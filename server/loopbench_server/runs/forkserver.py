"""The forkserver as the server sees it: started, asked for processes, and replaced where it gives no answer."""

import asyncio
import os
import socket
import sys
from contextlib import suppress

import psutil
import structlog

from loopbench_server.errors import NotReadyError
from loopbench_server.runs.forkserver_program import ANSWER, PING, REQUEST

log = structlog.get_logger()

PROGRAM = "import sys; sys.path[:] = {path!r}; from loopbench_server.runs.forkserver_program import main; main({fd})"
SECONDS_BETWEEN_LOOKS = 1.0
# Looks, one a second, at a forkserver that owes an answer: without processor time it is stopped or hung. The import of
# TensorFlow takes processor time all along.
IDLE_LOOKS = 10
# The same for one that works and gives no answer.
MOST_LOOKS = 120
# Seconds to end after SIGKILL, and after the server has closed the socket.
KILL_SECONDS, CLOSE_SECONDS = 5.0, 2.0


class _BrokenError(Exception):
    """The forkserver has to be replaced."""


class Forkserver:
    """One process at a time. ``broken`` is set where it has ended or gave no worker, until it gives one again."""

    def __init__(self) -> None:
        self.broken = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None
        # One request at a time, so that an answer is that of the last request.
        self._turn = asyncio.Lock()
        self._failures = 0
        self._closed = False

    async def fork(self, orders: int, answers: int) -> int:
        """The process id of a new worker that has these two descriptors.

        A forkserver that does not answer is killed, and a second one is asked.

        Raises:
            NotReadyError: the second did not answer either, or the machine refuses a process.
        """
        failures = self._failures
        async with self._turn:
            if self._closed:
                raise NotReadyError("no training process can be started: the server shuts down")
            for _ in range(2):
                # Whoever waited while another request failed shares its end.
                if self._failures != failures:
                    break
                try:
                    pid = await self._asked(orders, answers)
                except OSError as error:
                    await self._end(f"the socket to it is broken: {error.strerror}")
                except _BrokenError as error:
                    await self._end(str(error))
                else:
                    return self._checked(pid)
            else:
                self._failures += 1
        raise NotReadyError("no training process can be started: the forkserver does not answer")

    async def check(self) -> None:
        """Ask the forkserver, if there is one, for a sign of life, and kill it where none comes."""
        async with self._turn:
            if self._process and self._process.returncode is None and self._control:
                try:
                    self._control.send(PING)
                    await self._answer(self._control)
                except OSError as error:
                    await self._end(f"the socket to it is broken: {error.strerror}")
                except _BrokenError as error:
                    await self._end(str(error))

    def _checked(self, answer: int) -> int:
        if answer > 0:
            self.broken.clear()
            return answer
        self.broken.set()
        log.error("the machine refuses a training process", error=os.strerror(-answer))
        raise NotReadyError(f"no training process can be started: {os.strerror(-answer)}")

    async def _asked(self, orders: int, answers: int) -> int:
        control = self._control if self._process and self._process.returncode is None else None
        if control is None:
            control = await self._start()
            await self._answer(control)
        socket.send_fds(control, [REQUEST], [orders, answers])
        return await self._answer(control)

    async def _start(self) -> socket.socket:
        if self._control:
            self._control.close()
        self._control, child = socket.socketpair()
        self._control.setblocking(False)
        with child:
            program = PROGRAM.format(path=sys.path, fd=child.fileno())
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

    async def _answer(self, control: socket.socket) -> int:
        answer = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(control, ANSWER.size))
        used, idle = -1.0, 0
        try:
            for _ in range(MOST_LOOKS):
                await asyncio.wait({answer}, timeout=SECONDS_BETWEEN_LOOKS)
                if answer.done():
                    if not answer.result():
                        raise _BrokenError("it closed its socket")
                    pid: int
                    (pid,) = ANSWER.unpack(answer.result())
                    return pid
                before, used = used, self._processor_seconds()
                idle = idle + 1 if used == before else 0
                if idle == IDLE_LOOKS:
                    raise _BrokenError(f"no answer, and no processor time, for {IDLE_LOOKS} s")
            raise _BrokenError(f"no answer for {MOST_LOOKS} s")
        finally:
            answer.cancel()

    def _processor_seconds(self) -> float:
        assert self._process is not None
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return float(times.user + times.system)
        return 0.0

    async def _end(self, cause: str) -> None:
        """Kill the forkserver, by its id, for ``cause``."""
        process, self._process = self._process, None
        self.broken.set()
        log.error("the forkserver is replaced", pid=process.pid if process else None, cause=cause)
        if process:
            await _killed(process)

    async def close(self) -> None:
        """Let the forkserver end; kill it where it does not. No other one starts."""
        self._closed = True
        process, self._process = self._process, None
        if self._control:
            self._control.close()
        if process and process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), CLOSE_SECONDS)
            except TimeoutError:
                log.warning("the forkserver does not end and is killed", pid=process.pid)
                await _killed(process)


async def _killed(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    try:
        await asyncio.wait_for(process.wait(), KILL_SECONDS)
    except TimeoutError:
        log.error("the forkserver outlives SIGKILL: the system holds it", pid=process.pid)  # noqa: TRY400  no traceback is of use
