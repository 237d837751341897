"""Evaluations and the machine's description, with processes that the test controls."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import EvaluationRequest, RunSpec, RunState
from loopbench_server import errors
from loopbench_server.operations.evaluate import Evaluator
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.rpc.server_info import ServerStatus
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig, WorkerLimits
from loopbench_server.workers import capabilities
from loopbench_server.workers.capabilities import describe
from loopbench_server.workers.protocol import Described, Evaluated, Failed, Task
from tests.support.factories import make_environment

DESCRIBED = Described(
    versions={"tensorflow": "2.21.0"},
    devices=(spec.DeviceInfo(type=spec.Device.CPU, name="/physical_device:CPU:0"),),
    datasets=(spec.DatasetInfo(dataset=spec.Dataset.DIGITS, available=True, train_samples=1, validation_samples=1),),
    environments=(make_environment(),),
)


@pytest.fixture
def evaluations(store: Store, pool: Any, config: WorkerConfig) -> Evaluator:
    return Evaluator(store, TaskRunner(pool, 1, 10, config.limits), config)


@pytest.fixture
def run(store: Store, make_run: Callable[..., spec.Run], make_result: Callable[..., spec.Result]) -> spec.Run:
    """A succeeded run with weights."""
    run = make_run(state=RunState.SUCCEEDED, spec=RunSpec(seed=5), result=make_result())
    store.add(run.model_copy(update={"state": RunState.RUNNING}))
    store.update(run, b"weights")
    return run


@pytest.fixture
def evaluation(run: spec.Run, make_result: Callable[..., spec.Result]) -> spec.Evaluation:
    figures = make_result().model_dump(include={"train", "validation", "reported_train", "reported_validation"})
    ways = {"method": "FIT", "loss": "SUM_OF_SQUARES", "accuracy_metric": "ARGMAX"}
    return spec.Evaluation(run_id=run.id, **ways, **figures)


@pytest.mark.parametrize("by_spec", [False, True])
async def test_the_weights_of_a_run_are_evaluated(
    *,
    evaluations: Evaluator,
    pool: Any,
    config: WorkerConfig,
    run: spec.Run,
    evaluation: spec.Evaluation,
    by_spec: bool,
) -> None:
    source = {"spec": run.spec} if by_spec else {"run_id": run.id}
    request = EvaluationRequest(**source, method=spec.Method.FIT, accuracy_metric=spec.AccuracyMetric.ARGMAX)
    waiting = asyncio.create_task(evaluations.evaluate(request))
    worker = await pool.begun()
    assert worker.weights == b"weights"
    # Omitted options come from the run.
    asked = RunSpec(seed=5, method=spec.Method.FIT, accuracy_metric=spec.AccuracyMetric.ARGMAX)
    assert worker.task == Task(
        kind="evaluate",
        config=config,
        run_id=run.id,
        spec=asked,
        weights_digest="a" * 64,
    )
    worker.send(Evaluated(evaluation=evaluation))
    assert await waiting == evaluation
    assert worker.gone


async def test_a_run_without_weights_cannot_be_evaluated(
    evaluations: Evaluator, store: Store, make_run: Callable[..., spec.Run]
) -> None:
    failed = store.add(make_run(state=RunState.FAILED))
    with pytest.raises(errors.WeightsNotStoredError):
        await evaluations.evaluate(EvaluationRequest(run_id=failed.id))
    with pytest.raises(errors.RunNotFoundError):
        await evaluations.evaluate(EvaluationRequest(run_id=make_run(2).id))
    with pytest.raises(errors.RunNotFoundError):
        await evaluations.evaluate(EvaluationRequest(spec=failed.spec))


async def test_an_evaluation_says_why_it_failed(evaluations: Evaluator, pool: Any, run: spec.Run) -> None:
    waiting = asyncio.create_task(evaluations.evaluate(EvaluationRequest(run_id=run.id)))
    (await pool.begun()).send(Failed(reason="DATASET_CORRUPT", message="other contents"))
    with pytest.raises(errors.DatasetCorruptError, match="other contents"):
        await waiting
    # The slot is free again.
    waiting = asyncio.create_task(evaluations.evaluate(EvaluationRequest(run_id=run.id)))
    (await pool.begun()).die()
    with pytest.raises(errors.WorkerLostError) as caught:
        await waiting
    assert caught.value.metadata == {"run_id": run.id}


async def test_an_evaluation_has_a_time_limit(store: Store, pool: Any, config: WorkerConfig, run: spec.Run) -> None:
    limits = WorkerLimits(seconds=0.05, megabytes=4_000)
    evaluations = Evaluator(store, TaskRunner(pool, 1, 10, limits), config)
    with pytest.raises(errors.TimeExceededError):
        await asyncio.wait_for(evaluations.evaluate(EvaluationRequest(run_id=run.id)), 30)
    assert pool.workers[0].gone


async def test_a_disconnected_callers_process_ends(evaluations: Evaluator, pool: Any, run: spec.Run) -> None:
    waiting = asyncio.create_task(evaluations.evaluate(EvaluationRequest(run_id=run.id)))
    worker = await pool.begun()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert worker.gone


async def test_describing_retries_until_a_process_answers(
    pool: Any, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "RETRY_INTERVAL_SECONDS", 0)
    waiting = asyncio.create_task(describe(pool, config))
    (await pool.begun()).die()
    (await pool.begun()).send(Failed(reason="RUN_FAILED", message="no"))
    worker = await pool.begun()
    assert worker.task == Task(kind="describe", config=config)
    worker.send(DESCRIBED)
    assert await waiting == DESCRIBED
    assert all(worker.gone for worker in pool.workers)


async def test_a_server_is_ready_once_described_and_until_it_drains(
    make_scheduler: Callable[..., Scheduler], pool: Any
) -> None:
    scheduler = make_scheduler(slots=1, queue_size=2)
    limits = spec.ServerLimits(slots=1, queue_size=2, message_bytes=3)
    status = ServerStatus(scheduler, limits)
    assert not status.info().ready
    assert (status.info().devices, status.info().limits) == ((), limits)
    status.set_description(DESCRIBED)
    for request in ("a", "b"):
        await scheduler.submit(RunSpec(), request, "me")
    await pool.begun()
    info = status.info()
    assert (info.ready, info.running, info.queued) == (True, 1, 1)
    assert (info.devices, info.datasets) == (DESCRIBED.devices, DESCRIBED.datasets)
    assert set(info.versions) == {"loopbench", "grpcio", "tensorflow"}
    await scheduler.drain(0)
    assert not status.info().ready
