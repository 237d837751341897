"""The forkserver and its workers without TensorFlow: start, replacement, timeout and end."""

import asyncio
import errno
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from loopbench_server.errors import NotReadyError
from loopbench_server.worker_config import WorkerConfig, WorkerLimits
from loopbench_server.workers import forkserver, pool
from loopbench_server.workers.pool import WorkerPool
from loopbench_server.workers.protocol import Task
from loopbench_server.workers.stop_signals import STOP_SIGNALS

# The worker only reports that it runs.
PROGRAM = """
import os, sys, time, types
sys.path[:] = {path!r}
preload = types.ModuleType("preload")
preload.preload = lambda data_dir: None
sys.modules["loopbench_server.workers.preload"] = preload
worker = types.ModuleType("worker")
def main(orders, answers):
    os.nice(1)
    answers.send_bytes(b'{{"kind": "started", "monotonic": 0}}')
    orders.recv_bytes(), orders.recv_bytes()
    time.sleep(600)
worker.main = main
sys.modules["loopbench_server.workers.process"] = worker
import loopbench_server.workers
loopbench_server.workers.process = worker
from loopbench_server.workers.forkserver_program import main
main({fd}, {data_dir!r})
"""
CONFIG = WorkerConfig(limits=WorkerLimits(seconds=30))
TASK = Task(kind="describe", config=CONFIG)


@pytest.fixture
async def starting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPool]:
    monkeypatch.setattr(forkserver, "PROGRAM", PROGRAM)
    monkeypatch.setattr(forkserver, "POLL_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(pool, "START_CANCEL_TIMEOUT_SECONDS", 0.1)
    made = WorkerPool(CONFIG)
    yield made
    await made.close()
    assert not [child for child in psutil.Process().children() if "forkserver_program" in " ".join(child.cmdline())]


def current(starting: WorkerPool) -> psutil.Process:
    assert starting._forkserver._process is not None
    return psutil.Process(starting._forkserver._process.pid)


async def started(starting: WorkerPool) -> int:
    """Process id of a worker that has ended."""
    async with starting.run(TASK) as worker:
        assert psutil.Process(worker.pid).ppid() == current(starting).pid
    assert not psutil.pid_exists(worker.pid)
    return worker.pid


@pytest.mark.parametrize("harm", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_forkserver_that_cannot_fork_is_replaced_and_its_error_logged(
    starting: WorkerPool, harm: signal.Signals
) -> None:
    await started(starting)
    old = current(starting)
    broken = asyncio.create_task(starting.wait_broken())
    with capture_logs() as logged:
        old.send_signal(harm)
        await started(starting)
    assert current(starting) != old
    assert not old.is_running()
    await broken
    lines = [line for line in logged if line["event"] in {"forkserver is being replaced", "forkserver ended"}]
    assert lines
    assert all(line["pid"] == old.pid and (line.get("cause") or line.get("exit_code")) for line in lines)


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_a_signal_to_the_group_ends_neither_forkserver_nor_worker(
    starting: WorkerPool, number: signal.Signals
) -> None:
    async with starting.run(TASK) as worker:
        forkserver_process = current(starting)
        for process in (forkserver_process, psutil.Process(worker.pid)):
            process.send_signal(number)
        await started(starting)
        assert not worker.has_ended()
    assert not psutil.pid_exists(worker.pid)
    assert current(starting) == forkserver_process


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_a_signal_at_the_start_of_a_forkserver_has_no_effect(
    starting: WorkerPool, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    await starting._forkserver._start()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    first = current(starting)
    first.send_signal(number)
    assert starting._forkserver._control is not None
    assert await starting._forkserver._read_response(starting._forkserver._control) == first.pid
    await started(starting)
    assert current(starting) == first
    assert capfd.readouterr().err == ""


async def test_a_forkserver_that_responds_passes_a_check(starting: WorkerPool) -> None:
    await starting.check()  # none runs yet, and the check starts none
    await started(starting)
    before = current(starting)
    with capture_logs() as logged:
        await asyncio.gather(*(starting.check() for _ in range(3)), *(started(starting) for _ in range(3)))
    assert current(starting) == before
    assert not logged


async def test_a_check_replaces_a_stopped_forkserver_while_no_worker_is_requested(starting: WorkerPool) -> None:
    await started(starting)
    old = current(starting)
    broken = asyncio.create_task(starting.wait_broken())
    old.send_signal(signal.SIGSTOP)
    with capture_logs() as logged:
        await starting.check()
    await broken
    assert not old.is_running()
    assert [(line["event"], line["pid"]) for line in logged][:1] == [("forkserver is being replaced", old.pid)]
    await started(starting)


async def test_a_process_without_pipes_can_be_requested_again(
    starting: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(starting)
    first = multiprocessing.Pipe(duplex=False)
    pipes = [first]

    def pipe(**_: bool) -> Any:
        if not pipes:
            raise OSError(errno.EMFILE, "Too many open files")
        return pipes.pop()

    monkeypatch.setattr(multiprocessing, "Pipe", pipe)
    with capture_logs() as logged, pytest.raises(NotReadyError, match="started: Too many open files"):
        await started(starting)
    assert [(line["log_level"], line["error"]) for line in logged] == [("warning", "Too many open files")]
    assert [end.closed for end in first] == [True, True]
    monkeypatch.undo()


async def test_concurrent_callers_share_the_failure_of_a_start(
    starting: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forkserver, "PROGRAM", "raise SystemExit(3)")
    with capture_logs() as logged:
        calls = await asyncio.gather(*(started(starting) for _ in range(20)), return_exceptions=True)
    assert {type(call) for call in calls} == {NotReadyError}
    assert len([line for line in logged if line["event"] == "forkserver is being replaced"]) == 2
    # The next start is not affected.
    monkeypatch.setattr(forkserver, "PROGRAM", PROGRAM)
    await started(starting)


async def test_a_machine_without_processes_keeps_its_forkserver(
    starting: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = PROGRAM.replace("import os,", "import errno, os,").replace(
        "main({fd}, {data_dir!r})",
        "def fork(): raise OSError(errno.EAGAIN, 'no')\nos.fork = fork\nmain({fd}, {data_dir!r})",
    )
    monkeypatch.setattr(forkserver, "PROGRAM", refusing)
    for _ in range(2):
        with pytest.raises(NotReadyError, match="Resource temporarily unavailable"):
            await started(starting)
    assert current(starting).is_running()


async def test_a_disconnect_during_the_start_returns_at_once_and_leaves_nothing(starting: WorkerPool) -> None:
    await started(starting)
    stopped = current(starting)
    stopped.send_signal(signal.SIGSTOP)
    leaving = asyncio.create_task(started(starting))
    await asyncio.sleep(0.02)
    leaving.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await leaving
    with suppress(ProcessLookupError):
        stopped.send_signal(signal.SIGCONT)
    await started(starting)
    await eventually(lambda: not current(starting).children())


async def test_a_start_that_takes_too_long_is_given_up(starting: WorkerPool) -> None:
    await started(starting)
    starting._start_seconds = 0.1
    current(starting).send_signal(signal.SIGSTOP)
    with pytest.raises(NotReadyError, match=r"within 0\.1 s"):
        await started(starting)


async def test_a_stopped_worker_ends(starting: WorkerPool) -> None:
    async with starting.run(TASK) as worker:
        os.kill(worker.pid, signal.SIGSTOP)
    assert not psutil.pid_exists(worker.pid)


async def test_an_unreaped_worker_blocks_nothing(starting: WorkerPool) -> None:
    async with asyncio.timeout(10):
        async with starting.run(TASK) as worker:
            stopped = current(starting)
            stopped.send_signal(signal.SIGSTOP)
        assert psutil.Process(worker.pid).status() == psutil.STATUS_ZOMBIE
    stopped.send_signal(signal.SIGCONT)
    await eventually(lambda: not psutil.pid_exists(worker.pid))


async def test_a_stopped_forkserver_is_closed(starting: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "CLOSE_TIMEOUT_SECONDS", 0.1)
    await started(starting)
    stopped = current(starting)
    stopped.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(5):
        await starting.close()
    assert not stopped.is_running()


def test_a_forkserver_whose_server_ends_first_says_nothing() -> None:
    server_end, control = socket.socketpair()
    server_end.close()
    with control:
        program = PROGRAM.format(path=sys.path, fd=control.fileno(), data_dir=None)
        command, pipes = [sys.executable, "-c", program], (control.fileno(),)
        done = subprocess.run(command, pass_fds=pipes, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.01)


async def test_a_worker_that_does_not_take_its_task_is_ended(
    starting: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forkserver, "PROGRAM", PROGRAM.replace("orders.recv_bytes(), orders.recv_bytes()", "pass"))
    monkeypatch.setattr(pool, "TASK_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(NotReadyError, match="did not read its task"):
        # More than a pipe holds.
        async with starting.run(TASK, b"x" * 1_000_000):
            pass
    assert current(starting).children() == []
