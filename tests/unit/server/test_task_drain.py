"""Evaluations and diagnoses during the drain of a server."""

import asyncio
from typing import Any

import pytest

from loopbench.spec import Diagnosis, RunSpec
from loopbench_server import errors
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Diagnosed, Task

TASK = Task(kind="diagnose", config=WorkerConfig(), spec=RunSpec(), second=RunSpec())
FOUND = Diagnosis(causes=(), controls=(), first=RunSpec(), second=RunSpec())
LONG_SECONDS = 3_600


@pytest.fixture
def tasks(pool: Any, config: WorkerConfig) -> TaskRunner:
    return TaskRunner(pool, slots=1, queue_size=1, limits=config.limits)


async def call(tasks: TaskRunner) -> Diagnosed:
    async with tasks.slot():
        return await tasks.run(TASK, Diagnosed)


async def test_a_running_task_may_end_and_a_waiting_one_is_ended(tasks: TaskRunner, pool: Any) -> None:
    running = asyncio.create_task(call(tasks))
    worker = await pool.begun()
    waiting = asyncio.create_task(call(tasks))
    await asyncio.sleep(0)
    draining = asyncio.create_task(tasks.drain(LONG_SECONDS))
    with pytest.raises(errors.DrainingError):
        await waiting
    with pytest.raises(errors.DrainingError):
        await call(tasks)
    assert not draining.done()
    worker.send(Diagnosed(diagnosis=FOUND))
    await draining
    assert (await running).diagnosis == FOUND
    assert (tasks.running, tasks.waiting) == (0, 0)


async def test_a_task_that_takes_too_long_ends_with_its_process(tasks: TaskRunner, pool: Any) -> None:
    running = asyncio.create_task(call(tasks))
    worker = await pool.begun()
    await tasks.drain(0.05)
    with pytest.raises(errors.DrainingError):
        await running
    assert worker.gone


async def test_a_process_that_does_not_end_does_not_delay_the_drain(
    tasks: TaskRunner, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopbench_server.operations.task_runner.CANCEL_TIMEOUT_SECONDS", 0.05)
    pool.may_end.clear()
    running = asyncio.create_task(call(tasks))
    await pool.begun()
    await tasks.drain(0.05)
    assert not running.done()
    pool.may_end.set()
    with pytest.raises(errors.DrainingError):
        await running


async def test_a_drain_without_tasks_returns_at_once(tasks: TaskRunner) -> None:
    async with asyncio.timeout(60):
        await tasks.drain(LONG_SECONDS)


async def test_a_caller_that_leaves_during_a_drain_ends_its_task(tasks: TaskRunner, pool: Any) -> None:
    running = asyncio.create_task(call(tasks))
    worker = await pool.begun()
    draining = asyncio.create_task(tasks.drain(LONG_SECONDS))
    await asyncio.sleep(0)
    running.cancel()
    await draining
    assert running.cancelled()
    assert worker.gone
