"""Standby workers without TensorFlow: prepared, taken by runs, replaced and ended."""

import asyncio
import errno
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from loopbench.spec import Device, RunSpec
from loopbench_server.worker_config import WorkerConfig, WorkerLimits
from loopbench_server.workers import forkserver, standby
from loopbench_server.workers import pool as pools
from loopbench_server.workers.pool import WorkerPool
from loopbench_server.workers.protocol import Task
from loopbench_server.workers.worker import Worker

# A worker whose answer to PREPARE a test chooses, and whose other tasks never end.
PROGRAM = """
import os, sys, time, types
sys.path[:] = {path!r}
preload = types.ModuleType("preload")
preload.preload = lambda data_dir: None
sys.modules["loopbench_server.workers.preload"] = preload
worker = types.ModuleType("worker")
def main(orders, answers):
    while True:
        task = orders.recv_bytes()
        orders.recv_bytes()
        answers.send_bytes(b'{{"kind": "started", "monotonic": 0}}')
        if b'"kind":"prepare"' not in task:
            time.sleep(600)
        ANSWER
worker.main = main
sys.modules["loopbench_server.workers.process"] = worker
import loopbench_server.workers
loopbench_server.workers.process = worker
from loopbench_server.workers.forkserver_program import main
main({fd}, {data_dir!r})
"""
READY = """answers.send_bytes(b'{{"kind": "prepared"}}')"""
FAILED = """answers.send_bytes(b'{{"kind": "failed", "reason": "RUN_FAILED", "message": "no disk"}}')"""
CONFIG = WorkerConfig(limits=WorkerLimits(seconds=30))
SLOTS = 2
# Devices of a task and the GPU slots that it holds.
CPU, GPU_0, GPU_1 = (Device.CPU, ()), (Device.GPU, (0,)), (Device.AUTO, (1,))


def train(held: tuple[Device, tuple[int, ...]] = CPU, **fields: Any) -> Task:
    device, gpu_slots = held
    config = replace(CONFIG, gpu_slots=gpu_slots)
    return Task(kind="train", config=config, run_id="id", spec=RunSpec(device=device, **fields))


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets what a process does to prepare."""
    monkeypatch.setattr(standby, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr(standby, "MIN_RETRY_SECONDS", 0.05)
    return lambda answer: monkeypatch.setattr(forkserver, "PROGRAM", PROGRAM.replace("ANSWER", answer))


@pytest.fixture
async def pool(program: Callable[[str], None]) -> AsyncIterator[WorkerPool]:
    program(READY)
    made = WorkerPool(CONFIG, SLOTS, gpu_slots=2, standby_workers=SLOTS)
    yield made
    await made.close()


def waiting(pool: WorkerPool, group: int = 0) -> list[int]:
    """Process ids of the prepared processes: for the CPU, or for a GPU by its number plus one."""
    return [started.result().pid for started in pool._standby[group]._ready]


def causes(logged: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why processes were lost, according to the log."""
    return [line["cause"] for line in logged if line["event"] == "standby worker lost"]


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.01)


async def test_each_free_slot_has_a_process_that_the_next_run_takes(pool: WorkerPool) -> None:
    async with pool.standing_by(sees_gpu=False):
        await eventually(lambda: len(waiting(pool)) == SLOTS)
        before = waiting(pool)
        async with pool.run(train()) as first, pool.run(train()) as second:
            assert sorted([first.pid, second.pid]) == sorted(before)
            await asyncio.sleep(0.2)
            assert waiting(pool) == [], "no slot is free"
        assert not psutil.pid_exists(first.pid), "one process per run"
        await eventually(lambda: len(waiting(pool)) == SLOTS)
        assert not set(waiting(pool)) & set(before)


async def test_runs_that_end_often_do_not_delay_a_process(pool: WorkerPool) -> None:
    async with pool.standing_by(sees_gpu=False), asyncio.timeout(20):
        while not waiting(pool):
            pool._standby[0].update()  # as the end of a run does
            await asyncio.sleep(0.005)


async def test_no_process_remains_after_the_block(pool: WorkerPool) -> None:
    async with pool.standing_by(sees_gpu=False):
        await eventually(lambda: len(waiting(pool)) == SLOTS)
        left = waiting(pool)
    assert not any(psutil.pid_exists(pid) for pid in left)
    async with pool.run(train()) as worker:
        assert worker.pid not in left


async def test_a_process_that_ends_is_replaced(pool: WorkerPool) -> None:
    async with pool.standing_by(sees_gpu=False):
        await eventually(lambda: len(waiting(pool)) == SLOTS)
        killed = waiting(pool)[0]
        with capture_logs() as logged:
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda: killed not in waiting(pool) and len(waiting(pool)) == SLOTS)
        assert causes(logged) == ["its process ended"]


async def test_a_run_takes_no_process_that_has_ended(pool: WorkerPool) -> None:
    async with pool.standing_by(sees_gpu=False):
        await eventually(lambda: len(waiting(pool)) == SLOTS)
        killed, workers = waiting(pool), [started.result() for started in pool._standby[0]._ready]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        while not all(worker.has_ended() for worker in workers):
            pass  # the event loop must not see the ends
        async with pool.run(train()) as worker:
            assert worker.pid not in killed


@pytest.fixture
def slow_kill(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the first process is killed; each kill takes 0.3 s, as for a process that nobody reaps."""
    killing, kill = asyncio.Event(), pools._kill_started

    async def slow(starting: asyncio.Task[Worker]) -> None:
        killing.set()
        await asyncio.sleep(0.3)
        await kill(starting)

    monkeypatch.setattr(pools, "_kill_started", slow)
    return killing


async def test_the_end_of_the_block_leaves_the_process_of_a_run_that_starts_meanwhile(
    pool: WorkerPool, slow_kill: asyncio.Event
) -> None:
    async def run() -> None:
        await slow_kill.wait()
        async with pool.run(train()) as worker:
            await left.wait()
            assert not worker.has_ended()

    left = asyncio.Event()
    running = asyncio.create_task(run())
    async with pool.standing_by(sees_gpu=False):
        await eventually(lambda: len(waiting(pool)) == SLOTS)
    left.set()
    await running


async def test_a_process_may_end_while_the_block_ends(pool: WorkerPool, slow_kill: asyncio.Event) -> None:
    async def kill() -> None:
        await slow_kill.wait()
        for pid in prepared:
            os.kill(pid, signal.SIGKILL)

    async with pool.standing_by(sees_gpu=False):
        await eventually(lambda: len(waiting(pool)) == SLOTS)
        prepared = waiting(pool)
        killing = asyncio.create_task(kill())
    await killing
    assert waiting(pool) == []


async def test_a_run_starts_although_its_process_ends_before_its_task(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.standing_by(sees_gpu=False):
        await eventually(lambda: len(waiting(pool)) == SLOTS)
        killed, workers = waiting(pool), [started.result() for started in pool._standby[0]._ready]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        while not all(worker.has_ended() for worker in workers):
            pass  # the event loop must not see the ends
        # A process that is about to end has closed its pipes, and is no zombie yet.
        with monkeypatch.context() as patched:
            patched.setattr(Worker, "has_ended", lambda _: False)
            taken = pool._standby[0].take(train())
        assert taken is not None
        monkeypatch.setattr(pool._standby[0], "take", lambda _: taken)
        async with pool.run(train()) as worker:
            assert worker.pid not in killed
            assert not worker.has_ended()


async def test_a_refused_pipe_is_a_failure_as_any_other(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    make, refused = multiprocessing.Pipe, [OSError(errno.EMFILE, "Too many open files")]

    def pipe(**options: Any) -> Any:
        if refused:
            raise refused.pop()
        return make(**options)

    monkeypatch.setattr(multiprocessing, "Pipe", pipe)
    with capture_logs() as logged:
        async with pool.standing_by(sees_gpu=False):
            await eventually(lambda: len(waiting(pool)) == SLOTS)
    assert causes(logged) == ["no worker process can be started: Too many open files"]


async def test_a_refused_process_leaves_the_server_ready(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: int) -> int:
        return -errno.EAGAIN

    with capture_logs() as logged:
        async with pool.standing_by(sees_gpu=False):
            await eventually(lambda: len(waiting(pool)) == SLOTS)
            killed, other = waiting(pool)
            monkeypatch.setattr(pool._forkserver, "_request_worker", refuse)
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda: len(causes(logged)) == 2)
            assert waiting(pool) == [other]
            assert not pool._forkserver.broken.is_set()
    assert causes(logged)[1] == "no worker process can be started: Resource temporarily unavailable"


async def test_a_run_that_takes_a_process_ends_the_pauses(pool: WorkerPool) -> None:
    with capture_logs() as logged:
        async with pool.standing_by(sees_gpu=False):
            for _ in range(2):
                await eventually(lambda: len(waiting(pool)) == SLOTS)
                os.kill(waiting(pool)[0], signal.SIGKILL)
                await eventually(lambda: len(waiting(pool)) == 1)
                async with pool.run(train()):
                    pass
    assert [line["next_try_seconds"] for line in logged if "cause" in line] == pytest.approx([0.1, 0.1])


async def test_the_pause_after_failures_has_a_limit_and_lasts_beyond_the_block(
    pool: WorkerPool, program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    program(FAILED)
    monkeypatch.setattr(standby, "MAX_RETRY_SECONDS", 0.5)
    pool._standby[0]._failures = 2_000
    with capture_logs() as logged:
        for _ in range(3):
            async with pool.standing_by(sees_gpu=False):
                await eventually(lambda: causes(logged))
                await asyncio.sleep(0.05)
    assert [line["next_try_seconds"] for line in logged if "cause" in line] == [0.5]


async def test_failures_are_logged_and_repeated_less_and_less_often(
    pool: WorkerPool, program: Callable[[str], None]
) -> None:
    program(FAILED)
    with capture_logs() as logged:
        async with pool.standing_by(sees_gpu=False):
            await eventually(lambda: len(causes(logged)) == 3)
            async with pool.run(train()):
                pass
    assert causes(logged) == ["no disk"] * 3
    assert [line["next_try_seconds"] for line in logged if "cause" in line] == pytest.approx([0.1, 0.2, 0.4])


async def test_a_gpu_keeps_its_process_also_while_a_run_trains_on_it(pool: WorkerPool) -> None:
    async with pool.standing_by(sees_gpu=True):
        await eventually(lambda: len(waiting(pool)) == SLOTS and waiting(pool, 1) and waiting(pool, 2))
        on_the_cpu, (first, second) = waiting(pool), (waiting(pool, 1)[0], waiting(pool, 2)[0])
        async with pool.run(train(GPU_0)) as one, pool.run(train(GPU_1)) as other:
            assert (one.pid, other.pid) == (first, second)
            await eventually(lambda: waiting(pool, 1) and waiting(pool, 2))
            assert waiting(pool) == on_the_cpu, "runs on GPUs hold no slot of the CPU"
        left = waiting(pool, 1) + waiting(pool, 2)
    assert not any(psutil.pid_exists(pid) for pid in left)


# Whether TensorFlow sees a GPU, and the setting → prepared processes for the CPU and for the GPU.
NONE_FOR_THE_GPU = {(False, 1): [1, 0], (True, 0): [0]}


@pytest.mark.parametrize(("sees_gpu", "standby_workers"), NONE_FOR_THE_GPU)
async def test_no_process_is_prepared_for_an_absent_gpu_or_on_request(
    program: Callable[[str], None], *, sees_gpu: bool, standby_workers: int
) -> None:
    program(READY)
    pool = WorkerPool(CONFIG, SLOTS, gpu_slots=1, standby_workers=standby_workers)
    async with pool.standing_by(sees_gpu=sees_gpu):
        await eventually(lambda: len(waiting(pool)) == standby_workers)
        await asyncio.sleep(0.2)
        found = [len(waiting(pool, group)) for group in range(len(pool._standby))]
    await pool.close()
    assert found == NONE_FOR_THE_GPU[sees_gpu, standby_workers]


# A task, and whether TensorFlow sees GPUs → the group of processes that can run it: the CPU's or that of a GPU.
SUITED = [
    (train(), True, [0]),
    (train(GPU_0), True, [1]),
    (train(GPU_1), True, [2]),
    # Without GPU slots, such a run chooses a GPU by itself.
    (train((Device.AUTO, ())), True, []),
    (train((Device.GPU, ())), True, []),
    (train((Device.AUTO, ())), False, [0]),
    # The system has GPUs that TensorFlow does not see.
    (train(GPU_1), False, [0]),
    (train(replicas=2, method="FIT"), False, []),
    (train((Device.GPU, (0, 1)), replicas=2, method="FIT"), True, []),
    (Task(kind="evaluate", config=CONFIG, spec=RunSpec()), False, []),
]


@pytest.mark.parametrize(("task", "sees_gpu", "groups"), SUITED)
async def test_devices_decide_which_runs_a_process_can_take(
    pool: WorkerPool, task: Task, groups: list[int], *, sees_gpu: bool
) -> None:
    kept = 3 if sees_gpu else 1
    async with pool.standing_by(sees_gpu=sees_gpu):
        await eventually(lambda: all(waiting(pool, group) for group in range(kept)))
        before = {pid: group for group in range(3) for pid in waiting(pool, group)}
        async with pool.run(task) as worker:
            assert [before[pid] for pid in [worker.pid] if pid in before] == groups
