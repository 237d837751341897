"""Diagnoses and their verification, with processes that the test controls."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import Cause, Diagnosis, DiagnosisRequest, DiagnosisSubject, Loss, RunSpec, Verdict
from loopbench_server import errors
from loopbench_server.operations.diagnose import Diagnoser
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.operations.verify import Verifier
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Diagnosed, Failed, Task, Trained

FIRST, SECOND = RunSpec(seed=7), RunSpec(seed=7, loss=Loss.MEAN_SQUARED_ERROR)
CAUSE = Cause(reason="LOSS_REDUCTION", title="t", evidence=(), consequence="e", fix="f")
FAULT = Cause(reason="LAST_BATCH", title="t", evidence=(), consequence="e", fix="f", side=spec.Side.SECOND)
FOUND = Diagnosis(causes=(CAUSE, FAULT), controls=(), first=FIRST, second=SECOND, fixed_second=FIRST)
ACCURACIES = {Loss.SUM_OF_SQUARES: 0.9, Loss.MEAN_SQUARED_ERROR: 0.5}


def subjects(**fields: Any) -> DiagnosisRequest:
    return DiagnosisRequest(first=DiagnosisSubject(spec=FIRST), second=DiagnosisSubject(spec=SECOND), **fields)


@pytest.fixture
def diagnoses(store: Store, pool: Any, config: WorkerConfig, make_scheduler: Callable[..., Scheduler]) -> Diagnoser:
    verification = Verifier(make_scheduler(slots=2, queue_size=0), 2)
    return Diagnoser(store, TaskRunner(pool, 1, 10, config.limits), verification, config)


async def test_one_process_receives_both_specs(diagnoses: Diagnoser, pool: Any, config: WorkerConfig) -> None:
    waiting = asyncio.create_task(diagnoses.diagnose(subjects(), "me"))
    worker = await pool.begun()
    assert worker.task == Task(kind="diagnose", config=config, spec=FIRST, second=SECOND)
    worker.send(Diagnosed(diagnosis=FOUND))
    assert await waiting == FOUND
    assert worker.gone


async def test_a_run_stands_for_its_spec(
    diagnoses: Diagnoser, pool: Any, store: Store, make_run: Callable[..., spec.Run]
) -> None:
    run = store.add(make_run(spec=SECOND))
    request = subjects().model_copy(update={"first": DiagnosisSubject(run_id=run.id)})
    waiting = asyncio.create_task(diagnoses.diagnose(request, "me"))
    worker = await pool.begun()
    assert (worker.task.spec, worker.task.second) == (SECOND, SECOND)
    worker.send(Failed(reason="DATASET_CORRUPT", message="other contents"))
    with pytest.raises(errors.DatasetCorruptError, match="other contents"):
        await waiting
    with pytest.raises(errors.RunNotFoundError):
        await diagnoses.diagnose(request.model_copy(update={"second": DiagnosisSubject(run_id=make_run(9).id)}), "me")


async def test_a_disconnected_callers_process_ends(diagnoses: Diagnoser, pool: Any) -> None:
    waiting = asyncio.create_task(diagnoses.diagnose(subjects(), "me"))
    worker = await pool.begun()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert worker.gone


def answer(worker: Any, make_result: Callable[..., spec.Result]) -> None:
    """Accuracies that depend on the loss and slightly on the seed; the seed also gives the weights."""
    asked = worker.task.spec
    accuracy = ACCURACIES[asked.loss] + asked.seed / 1000
    final = spec.FinalMetrics(loss=0.5, accuracy=accuracy, correct=1, samples=10_000)
    digest = f"{asked.loss}{asked.seed}"
    # The second side uses the mean, under which the loop reports another value.
    off = asked.loss is Loss.MEAN_SQUARED_ERROR
    reported = spec.ReportedMetrics(loss=0.75 if off else 0.5, accuracy=accuracy)
    worker.send(
        Trained(result=make_result(validation=final, weights_digest=digest, reported_validation=reported)), b"w"
    )


async def test_a_fix_is_shown_to_close_the_gap(
    diagnoses: Diagnoser, pool: Any, make_result: Callable[..., spec.Result]
) -> None:
    waiting = asyncio.create_task(diagnoses.diagnose(subjects(verify=True, seeds=2), "me"))
    (await pool.begun()).send(Diagnosed(diagnosis=FOUND))
    # The fixed second side equals the first, so its runs are reused.
    workers = [await pool.begun() for _ in range(2)]
    for worker in workers:
        answer(worker, make_result)
    workers += [await pool.begun() for _ in range(2)]
    for worker in workers[2:]:
        answer(worker, make_result)
    verified = await waiting
    assert {(worker.task.spec.loss, worker.task.spec.seed) for worker in workers} == {
        (loss, seed) for loss in ACCURACIES for seed in (7, 8)
    }
    assert verified.causes[0] == CAUSE
    # Only reported values of the faulty side that differ from the counted ones are evidence.
    (false,) = verified.causes[1].evidence
    assert (false.name, false.expected, false.observed) == ("validation_loss/second", 0.5, 0.75)
    assert verified.verification is not None
    verdicts = {(pair.first_label, pair.second_label): pair.verdict for pair in verified.verification.pairs}
    assert verdicts == {
        ("first", "second"): Verdict.DIFFERENT,
        ("first", "second, fixed"): Verdict.IDENTICAL,
        ("second", "second, fixed"): Verdict.DIFFERENT,
    }
    by_name = {control.name: (control.expected, control.observed) for control in verified.controls}
    assert by_name["validation_accuracy/second"] == pytest.approx((0.5075, 0.5075))
    assert by_name["validation_loss/second, fixed"] == (0.5, 0.5)
    assert "validation_loss/second" not in by_name


async def test_a_run_that_fails_ends_the_verification(diagnoses: Diagnoser, pool: Any) -> None:
    waiting = asyncio.create_task(diagnoses.diagnose(subjects(verify=True, seeds=1), "me"))
    (await pool.begun()).send(Diagnosed(diagnosis=FOUND))
    workers = [await pool.begun() for _ in range(2)]
    workers[0].send(Failed(reason="DATASET_NOT_AVAILABLE", message="no MNIST"))
    with pytest.raises(errors.DatasetNotAvailableError, match="no MNIST"):
        await waiting
    while not all(worker.gone for worker in pool.workers):  # noqa: ASYNC110  the other one is being cancelled
        await asyncio.sleep(0.01)
