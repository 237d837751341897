"""Gauges of accuracy and agreement from the store, for runs of any server."""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from loopbench import spec
from loopbench.spec import Method, RunState
from loopbench_server.errors import StoreFailedError
from loopbench_server.runs.maintenance import ended_runs
from loopbench_server.runs.maintenance.ended_runs import ResultObserver, follow_results
from loopbench_server.store.store import Store
from loopbench_server.telemetry.metrics.results import ResultMetrics
from tests.support.factories import START

TAPE, FIT, STEP = Method.GRADIENT_TAPE, Method.FIT, Method.CUSTOM_TRAIN_STEP
AGREEMENT = {"loss": "SUM_OF_SQUARES", "optimizer": "sgd", "dataset": "MNIST"}
LABELS = {"method": "FIT", **AGREEMENT, "parameters": "default"}
Ended = Callable[..., spec.Run]


@pytest.fixture
def metrics(registry: CollectorRegistry) -> ResultMetrics:
    return ResultMetrics(registry, START)


@pytest.fixture
def ended(make_run: Callable[..., spec.Run], make_result: Callable[..., spec.Result]) -> Ended:
    """A run that succeeded that number of seconds after the start."""

    def of(
        method: Method, *, digest: str = "a", correct: int = 9_661, seconds: int = 1, number: int = 1, **fields: Any
    ) -> spec.Run:
        environment = make_result().environment.model_copy(update=fields.pop("environment", {}))
        final = spec.FinalMetrics(loss=0.1, accuracy=correct / 10_000, correct=correct, samples=10_000)
        result = make_result(validation=final, weights_digest=64 * digest, environment=environment)
        end = START + timedelta(seconds=seconds)
        wanted = spec.RunSpec(method=method, **fields)
        return make_run(number, spec=wanted, state=RunState.SUCCEEDED, result=result, end_time=end)

    return of


@pytest.fixture
def agreement(registry: CollectorRegistry) -> Callable[..., tuple[float | None, float | None]]:
    """Agreement of the methods, and their difference."""

    def of(**labels: str) -> tuple[float | None, float | None]:
        names = ("loopbench_methods_agree", "loopbench_parity_difference_ratio")
        first, second = (registry.get_sample_value(name, AGREEMENT | labels) for name in names)
        return first, second

    return of


def test_the_last_success_is_shown(metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended) -> None:
    assert registry.get_sample_value("loopbench_accuracy_ratio", LABELS | {"split": "validation"}) is None
    for correct, seconds in ((9_000, 1), (9_661, 3), (8_000, 2)):  # not in the order of their ends
        metrics.run_found(ended(FIT, correct=correct, seconds=seconds))
    assert registry.get_sample_value("loopbench_accuracy_ratio", LABELS | {"split": "validation"}) == 0.9661
    assert registry.get_sample_value("loopbench_accuracy_ratio", LABELS | {"split": "train"}) == 0.5
    shown = registry.get_sample_value("loopbench_last_success_timestamp_seconds", LABELS)
    assert shown == START.timestamp() + 3


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"seed": 7, "accuracy_metric": "ARGMAX", "loss_aggregation": "LAST_BATCH", "tensorboard": True}, "default"),
        ({"execution": "EAGER", "steps_per_execution": 1, "device": "CPU"}, "default"),
        ({"epochs": 9}, "other"),
        ({"batch_size": 33}, "other"),
        ({"execution": "XLA"}, "other"),
        ({"optimizer": {"kind": "sgd", "learning_rate": 0.1}}, "other"),
    ],
)
def test_accuracies_of_default_specs_have_separate_series(
    metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended, fields: dict[str, Any], parameters: str
) -> None:
    metrics.run_found(ended(FIT, **fields))
    labels = LABELS | {"split": "validation"}
    shown = {
        kind: registry.get_sample_value("loopbench_accuracy_ratio", labels | {"parameters": kind})
        for kind in ("default", "other")
    }
    assert shown == {"default": None, "other": None} | {parameters: 0.9661}


def test_only_runs_that_end_after_the_start_are_counted(
    metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended
) -> None:
    metrics.run_found(ended(FIT, seconds=-1))
    metrics.run_found(ended(FIT, seconds=0))
    failed = ended(FIT).model_copy(update={"state": RunState.FAILED, "result": None})
    metrics.run_found(failed)
    counts = {
        state: registry.get_sample_value("loopbench_stored_runs_total", {"method": "FIT", "outcome": state})
        for state in ("SUCCEEDED", "FAILED", "CANCELLED")
    }
    assert counts == {"SUCCEEDED": 1, "FAILED": 1, "CANCELLED": 0}


def test_a_single_method_has_no_agreement(metrics: ResultMetrics, agreement: Any, ended: Ended) -> None:
    metrics.run_found(ended(FIT))
    metrics.run_found(ended(FIT, seed=1, digest="b"))
    assert agreement() == (None, None)


def test_methods_agree_while_their_weights_do(metrics: ResultMetrics, agreement: Any, ended: Ended) -> None:
    metrics.run_found(ended(FIT))
    metrics.run_found(ended(TAPE, execution="EAGER", accuracy_metric="ARGMAX"))
    assert agreement() == (1, 0)
    metrics.run_found(ended(STEP, digest="b", correct=9_600))
    assert agreement() == (0, pytest.approx(0.0061))
    metrics.run_found(ended(STEP))
    assert agreement() == (1, 0), "the last run of each method counts"


def test_every_seed_counts(metrics: ResultMetrics, agreement: Any, ended: Ended) -> None:
    for seed, digests in ((1, "ab"), (2, "cc"), (3, "d")):
        for method, digest in zip((TAPE, FIT), digests, strict=False):
            metrics.run_found(ended(method, seed=seed, digest=digest))
    assert agreement() == (0, 0)


def test_the_last_specification_counts(metrics: ResultMetrics, agreement: Any, ended: Ended) -> None:
    for epochs, digests in ((1, "ab"), (2, "cc")):
        for method, digest in zip((TAPE, FIT), digests, strict=True):
            metrics.run_found(ended(method, epochs=epochs, digest=digest))
    assert agreement() == (1, 0)
    metrics.run_found(ended(STEP, epochs=1, digest="a"))
    assert agreement() == (0, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 3},
        {"execution": "XLA"},
        {"environment": {"versions": {"tensorflow": "2.99"}}},
        {"environment": {"cpu_model": "another"}},
        {"environment": {"threads": 2}},
    ],
)
def test_specs_that_differ_beyond_the_method_are_not_compared(
    metrics: ResultMetrics, agreement: Any, ended: Ended, other: dict[str, Any]
) -> None:
    metrics.run_found(ended(FIT))
    metrics.run_found(ended(TAPE, digest="b", **other))
    assert agreement() == (None, None)


def test_a_tape_that_xla_compiles_by_several_steps_is_not_compared(
    metrics: ResultMetrics, agreement: Any, ended: Ended
) -> None:
    for method, steps, digest in ((FIT, 0, "a"), (STEP, 5, "a"), (TAPE, 0, "a"), (TAPE, 5, "b")):
        metrics.run_found(ended(method, execution="XLA", steps_per_execution=steps, digest=digest))
    assert agreement() == (1, 0)


def test_training_that_diverged_is_shown(metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended) -> None:
    run = ended(FIT)
    assert run.result is not None
    lost = spec.FinalMetrics(loss=math.nan, accuracy=math.nan, correct=0, samples=0)
    metrics.run_found(run.model_copy(update={"result": run.result.model_copy(update={"validation": lost})}))
    shown = registry.get_sample_value("loopbench_accuracy_ratio", LABELS | {"split": "validation"})
    assert shown is not None
    assert math.isnan(shown)


class Found(ResultObserver):
    """Records the found runs by number and state."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, str]] = []

    def run_found(self, run: spec.Run) -> None:
        self.runs.append((int(run.id[-12:]), run.state))


@pytest.fixture
def end_in(ended: Ended) -> Callable[..., None]:
    """Stores a run that has just ended."""

    def end(store: Store, number: int, **fields: Any) -> None:
        run = ended(FIT, number=number).model_copy(update=fields)
        store.add(run.model_copy(update={"state": RunState.RUNNING, "result": None, "end_time": None}))
        store.update(run.model_copy(update={"end_time": datetime.now(UTC)}))

    return end


@pytest.fixture
def _poll_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_runs, "POLL_INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(ended_runs, "RUNS_AT_ONCE", 2)


@pytest.mark.usefixtures("_poll_often")
async def test_each_end_is_found_once_on_any_server(
    store: Store, there: Store, end_in: Any, make_run: Any, eventually: Any
) -> None:
    for number in (1, 2, 3):
        end_in(there, number)
    store.add(make_run(4))  # has not ended
    found = Found()
    following = asyncio.create_task(follow_results(store, found))
    await eventually(lambda: len(found.runs) == 3)
    end_in(store, 5, state=RunState.FAILED, result=None)
    end_in(there, 6)
    await eventually(lambda: len(found.runs) == 5)
    end_in(store, 7)
    await eventually(lambda: len(found.runs) == 6)
    following.cancel()
    succeeded = [(number, "SUCCEEDED") for number in (1, 2, 3, 6, 7)]
    assert found.runs == [*succeeded[:3], (5, "FAILED"), *succeeded[3:]]


@pytest.mark.usefixtures("_poll_often")
async def test_a_restarted_run_is_found_again(store: Store, end_in: Any, make_run: Any, eventually: Any) -> None:
    end_in(store, 1, state=RunState.FAILED, result=None)
    found = Found()
    following = asyncio.create_task(follow_results(store, found))
    await eventually(lambda: found.runs == [(1, "FAILED")])
    assert store.restart(make_run(1))
    store.update(make_run(1, state=RunState.CANCELLED, end_time=datetime.now(UTC)))
    await eventually(lambda: len(found.runs) == 2)
    following.cancel()
    assert found.runs[1] == (1, "CANCELLED")


@pytest.mark.usefixtures("_poll_often")
async def test_the_start_includes_recent_runs(
    store: Store, end_in: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "MOST", 2)
    for number in (1, 2, 3):
        end_in(store, number)
    found = Found()
    following = asyncio.create_task(follow_results(store, found))
    await eventually(lambda: len(found.runs) == 2)
    end_in(store, 4)
    await eventually(lambda: len(found.runs) == 3)
    following.cancel()
    assert [number for number, _ in found.runs] == [2, 3, 4]


@pytest.mark.usefixtures("_poll_often")
async def test_a_database_outage_is_retried(
    store: Store, end_in: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_in(store, 1)
    asked = []
    real = ended_runs._runs

    def refusing_twice(*arguments: Any) -> Any:
        asked.append(1)
        if len(asked) < 3:
            raise StoreFailedError("away")
        return real(*arguments)

    monkeypatch.setattr(ended_runs, "_runs", refusing_twice)
    found = Found()
    following = asyncio.create_task(follow_results(store, found))
    await eventually(lambda: len(found.runs) == 1)
    following.cancel()
