"""A run from its submission to its end, with processes that the test controls."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunSpec, RunState
from loopbench_server import errors
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import EpochEnded, Failed, Progressed, Started, Task, Trained

MakeScheduler = Callable[..., Scheduler]
PROGRESS = spec.Progress(epoch=1, epochs=2, step=3, steps_per_epoch=45, examples_per_second=1, seconds_left=2)


async def submitted(scheduler: Scheduler, *requests: str, **fields: Any) -> list[str]:
    """Ids of the runs, one per request."""
    return [(await scheduler.submit(RunSpec(**fields), request, "me")).id for request in requests]


async def test_a_run_succeeds(
    *,
    scheduler: Scheduler,
    pool: Any,
    observer: Any,
    store: Store,
    config: WorkerConfig,
    make_result: Callable[..., spec.Result],
    make_epoch: Callable[..., spec.EpochRecord],
) -> None:
    run = await scheduler.submit(RunSpec(seed=3), "r", "me")
    assert (run.state, run.request_id, run.spec) == (RunState.QUEUED, "r", RunSpec(seed=3))
    waiting = asyncio.create_task(scheduler.wait(run.id))
    worker = await pool.begun()
    assert (scheduler.running, scheduler.queued) == (1, 0)
    assert store.get(run.id).state is RunState.RUNNING
    assert worker.task == Task(kind="train", config=config, spec=run.spec, run_id=run.id)
    worker.send(Started(monotonic=0.0))
    worker.send(EpochEnded(record=make_epoch(1)))
    worker.send(Trained(result=make_result()), b"weights")
    ended = await waiting
    assert ended.state is RunState.SUCCEEDED
    assert worker.gone
    assert store.get(run.id) == ended == await scheduler.get(run.id)
    assert store.get_weights(run.id) == b"weights"
    assert store.get_epochs(run.id) == (make_epoch(1),)
    assert (scheduler.running, scheduler.queued) == (0, 0)
    assert observer.seen == [
        ("queued",),
        ("started",),
        ("epoch", RunState.RUNNING, 1),
        ("ended", RunState.SUCCEEDED, True),
    ]


async def test_a_result_has_the_queue_time_of_the_run(
    scheduler: Scheduler, pool: Any, make_result: Callable[..., spec.Result]
) -> None:
    (run_id,) = await submitted(scheduler, "r")
    worker = await pool.begun()
    start = (await scheduler.get(run_id)).start_time
    assert start is not None
    worker.send(Started(monotonic=time.monotonic() + 1.5))
    worker.send(Trained(result=make_result(phases=spec.Phases(start_seconds=0.25, train_seconds=4.0))))
    run = await scheduler.wait(run_id)
    assert run.result is not None
    waited = (start - run.create_time).total_seconds()
    assert run.result.phases.queue_seconds == pytest.approx(waited, abs=0.5)
    assert run.result.phases.start_seconds == pytest.approx(1.75, abs=0.5)
    assert run.result.phases.train_seconds == 4.0


async def test_logs_go_to_a_folder_of_the_run(scheduler: Scheduler, pool: Any, config: WorkerConfig) -> None:
    (run_id,) = await submitted(scheduler, "r", tensorboard=True)
    task = (await pool.begun()).task
    assert task.config.log_dir(task.run_id) == config.tensorboard_dir / run_id


@pytest.mark.parametrize("slots", [1, 2])
async def test_runs_start_in_order_of_submission(
    make_scheduler: MakeScheduler, pool: Any, make_result: Callable[..., spec.Result], slots: int
) -> None:
    scheduler = make_scheduler(slots)
    ids = await submitted(scheduler, "a", "b", "c", "d")
    workers = [await pool.begun() for _ in range(slots)]
    for begun in range(slots, 4):
        assert (scheduler.running, scheduler.queued) == (slots, 4 - begun)
        assert len(pool.workers) == begun
        ending = workers.pop(0)
        ending.send(Trained(result=make_result()))
        await scheduler.wait(ending.task.run_id)
        workers.append(await pool.begun())
    begun_ids = [worker.task.run_id for worker in pool.workers]
    # Runs with a free slot start at once, each in a separate thread.
    assert set(begun_ids[:slots]) == set(ids[:slots])
    assert begun_ids[slots:] == ids[slots:]


async def test_a_full_queue_refuses_runs(make_scheduler: MakeScheduler, pool: Any, store: Store) -> None:
    scheduler = make_scheduler(slots=1, queue_size=2)
    await submitted(scheduler, "a")
    await pool.begun()
    await submitted(scheduler, "b", "c")
    with pytest.raises(errors.QueueFullError):
        await scheduler.submit(RunSpec(), "d", "me")
    assert store.find_request("d") is None
    # A repeated request needs no queue slot.
    assert await submitted(scheduler, "c") == [(await scheduler.submit(RunSpec(), "c", "me")).id]


async def test_a_request_id_is_one_run(
    scheduler: Scheduler, pool: Any, make_result: Callable[..., spec.Result]
) -> None:
    first, second = await asyncio.gather(scheduler.submit(RunSpec(), "r", "me"), scheduler.submit(RunSpec(), "r", "me"))
    assert first.id == second.id
    with pytest.raises(errors.RequestConflictError):
        await scheduler.submit(RunSpec(seed=1), "r", "me")
    (await pool.begun()).send(Trained(result=make_result()))
    ended = await scheduler.wait(first.id)
    assert await scheduler.submit(RunSpec(), "r", "me") == ended
    assert await scheduler.wait(first.id) == ended
    assert len(pool.workers) == 1


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("DATASET_NOT_AVAILABLE", errors.DatasetNotAvailableError),
        ("DEVICE_NOT_AVAILABLE", errors.DeviceNotAvailableError),
        ("OF_ANOTHER_VERSION", errors.RunFailedError),
    ],
)
async def test_a_failed_process_reports_its_error(
    scheduler: Scheduler, pool: Any, store: Store, reason: str, error: type[errors.LoopbenchServerError]
) -> None:
    (run_id,) = await submitted(scheduler, "r")
    worker = await pool.begun()
    worker.send(Failed(reason=reason, message="that is why"))
    with pytest.raises(error, match="that is why") as caught:
        await scheduler.wait(run_id)
    assert type(caught.value) is error
    assert caught.value.metadata == {"run_id": run_id}
    run = store.get(run_id)
    assert run.state is RunState.FAILED
    assert run.error == spec.RunError(reason=error.reason, message="that is why", hint=error.hint)
    assert run.end_time is not None
    assert worker.gone
    # It would fail again, so the same request gets the same error.
    assert await scheduler.submit(RunSpec(), "r", "me") == run


async def test_a_killed_process_can_be_retried_as_the_same_run(
    scheduler: Scheduler,
    pool: Any,
    store: Store,
    make_epoch: Callable[..., spec.EpochRecord],
    make_result: Callable[..., spec.Result],
) -> None:
    (run_id,) = await submitted(scheduler, "r")
    worker = await pool.begun()
    worker.send(EpochEnded(record=make_epoch(1)))
    worker.die()
    with pytest.raises(errors.WorkerLostError):
        await scheduler.wait(run_id)
    failed = store.get(run_id)
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    assert (failed.error.reason, failed.error.retryable) == ("WORKER_LOST", True)
    assert await submitted(scheduler, "r") == [run_id]
    again = await pool.begun()
    assert again.task.run_id == run_id
    again.send(EpochEnded(record=make_epoch(1)))
    again.send(Trained(result=make_result()), b"weights")
    ended = await scheduler.wait(run_id)
    assert (ended.state, ended.error) == (RunState.SUCCEEDED, None)
    assert store.get_epochs(run_id) == (make_epoch(1),)


async def test_no_process_fails_the_run(scheduler: Scheduler, pool: Any, store: Store) -> None:
    pool.refused = True
    (run_id,) = await submitted(scheduler, "r")
    with pytest.raises(errors.NotReadyError):
        await scheduler.wait(run_id)
    assert store.get(run_id).state is RunState.FAILED
    # The slot is free again.
    pool.refused = False
    assert await submitted(scheduler, "r") == [run_id]
    assert (await pool.begun()).task.run_id == run_id


async def test_a_watcher_sees_a_run_from_queue_to_end(
    scheduler: Scheduler,
    pool: Any,
    make_result: Callable[..., spec.Result],
    make_epoch: Callable[..., spec.EpochRecord],
) -> None:
    _, second = await submitted(scheduler, "a", "b")
    worker = await pool.begun()
    events = scheduler.watch(second)
    queued = spec.RunEvent(state=RunState.QUEUED, queue_position=0, run=await scheduler.get(second))
    assert await anext(events) == queued
    worker.send(Trained(result=make_result()))
    worker = await pool.begun()
    assert await anext(events) == spec.RunEvent(state=RunState.RUNNING)
    worker.send(Progressed(progress=PROGRESS))
    assert await anext(events) == spec.RunEvent(state=RunState.RUNNING, progress=PROGRESS)
    worker.send(EpochEnded(record=make_epoch(1)))
    assert (await anext(events)).epochs == (make_epoch(1),)
    worker.send(Trained(result=make_result()))
    last = [event async for event in events]
    assert last == [spec.RunEvent(state=RunState.SUCCEEDED, run=await scheduler.get(second))]


async def test_positions_count_the_runs_ahead(
    scheduler: Scheduler, pool: Any, make_result: Callable[..., spec.Result]
) -> None:
    ids = await submitted(scheduler, "a", "b", "c", "d")
    worker = await pool.begun()

    async def positions() -> list[int | None]:
        return [(await anext(scheduler.watch(run_id))).queue_position for run_id in ids]

    assert await positions() == [None, 0, 1, 2]
    worker.send(Trained(result=make_result()))
    await pool.begun()
    assert await positions() == [None, None, 0, 1]
    await scheduler.cancel(ids[2])
    assert await positions() == [None, None, None, 0]
