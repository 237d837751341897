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
from loopbench.spec.normalization import spec_digest
from loopbench_server.errors import StoreFailedError
from loopbench_server.runs.maintenance import ended_runs
from loopbench_server.runs.maintenance.ended_runs import ResultObserver, follow_results
from loopbench_server.store.store import Store
from loopbench_server.telemetry.metrics import upgrades
from loopbench_server.telemetry.metrics.results import ResultMetrics
from tests.support.factories import START, make_environment

from .conftest import SetClock

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


def values(registry: CollectorRegistry, name: str, **wanted: str) -> dict[tuple[str, str], float]:
    """Values of the series of a gauge with the ``wanted`` labels, by method and digest of the specification."""
    (family,) = (family for family in registry.collect() if family.name == name)
    found = [sample for sample in family.samples if wanted.items() <= sample.labels.items()]
    return {(sample.labels["method"], sample.labels["spec"]): sample.value for sample in found}


@pytest.fixture
def accuracy(registry: CollectorRegistry) -> Callable[..., list[float]]:
    """Values of the gauge of accuracy with some labels."""
    return lambda split="validation", **labels: [
        *values(registry, "loopbench_accuracy_ratio", split=split, **labels).values()
    ]


def test_the_last_run_of_a_seed_counts(
    metrics: ResultMetrics, registry: CollectorRegistry, accuracy: Any, ended: Ended
) -> None:
    assert accuracy() == []
    for correct, seconds in ((9_000, 1), (9_661, 3), (8_000, 2)):  # not in the order of their ends
        metrics.run_found(ended(FIT, correct=correct, seconds=seconds))
    assert (accuracy(), accuracy("train")) == ([0.9661], [0.5])
    ((labels, shown),) = values(registry, "loopbench_last_success_timestamp_seconds", **LABELS).items()
    assert shown == START.timestamp() + 3
    assert [*values(registry, "loopbench_accuracy_seeds", **LABELS)] == [labels]


def test_methods_have_the_mean_over_the_seeds_that_they_share(
    metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended
) -> None:
    # Seed 0 is worse by 10 points, and only one method trained it.
    for seed, correct in ((0, 8_000), (1, 9_000), (2, 9_200)):
        metrics.run_found(ended(FIT, seed=seed, correct=correct))
    for seed, correct in ((1, 9_000), (2, 9_200), (3, 9_800)):
        metrics.run_found(ended(TAPE, seed=seed, correct=correct, execution="EAGER"))
    shown = values(registry, "loopbench_accuracy_ratio", split="validation")
    assert [*shown.values()] == pytest.approx([0.91, 0.91])
    assert {method for method, _ in shown} == {"FIT", "GRADIENT_TAPE"}
    assert len({digest for _, digest in shown}) == 1
    assert [*values(registry, "loopbench_accuracy_seeds").values()] == [2, 2]


def test_only_the_newest_method_is_shown_if_the_methods_share_no_seed(
    metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended
) -> None:
    def shown() -> dict[str, float]:
        return {
            method: value for (method, _), value in values(registry, "loopbench_accuracy_ratio", split="train").items()
        }

    metrics.run_found(ended(FIT, seed=0, seconds=1))
    metrics.run_found(ended(TAPE, seed=1, seconds=2))
    assert [*shown()] == ["GRADIENT_TAPE"]
    metrics.run_found(ended(TAPE, seed=0, seconds=3))
    assert {*shown()} == {"FIT", "GRADIENT_TAPE"}


def test_the_number_of_specifications_is_bounded(
    metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended
) -> None:
    metrics.run_found(ended(FIT))
    for epochs in range(11, 71):
        metrics.run_found(ended(FIT, epochs=epochs))
    for name in ("loopbench_accuracy_ratio", "loopbench_accuracy_seeds", "loopbench_last_success_timestamp_seconds"):
        assert len(values(registry, name, parameters="other")) == 50
        assert len(values(registry, name, parameters="default")) == 1
    last = spec_digest(spec.RunSpec(epochs=70))
    assert ("FIT", last) in values(registry, "loopbench_accuracy_ratio")


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"method": "FIT", "seed": 3, "execution": "EAGER", "tensorboard": True, "accuracy_metric": "ARGMAX"}, True),
        ({"epochs": 9}, False),
        ({"optimizer": {"kind": "sgd", "learning_rate": 0.1}}, False),
        ({"loss": "MEAN_SQUARED_ERROR"}, False),
    ],
)
def test_a_digest_identifies_a_specification_without_method_and_seed(fields: dict[str, Any], same: bool) -> None:
    assert (spec_digest(spec.RunSpec.model_validate(fields)) == spec_digest(spec.RunSpec())) is same


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
    metrics: ResultMetrics, accuracy: Any, ended: Ended, fields: dict[str, Any], parameters: str
) -> None:
    metrics.run_found(ended(FIT, **fields))
    shown = {kind: accuracy(**AGREEMENT, parameters=kind) for kind in ("default", "other")}
    assert shown == {"default": [], "other": []} | {parameters: [0.9661]}


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


OLDER, OLD, NOW = ({"source_revision": name} for name in ("older", "old", "now"))
HERE = make_environment(**NOW)


@pytest.fixture
def change(registry: CollectorRegistry) -> Callable[..., tuple[float | None, float | None]]:
    """Agreement with the software before that of the server, and their difference."""

    def of(**labels: str) -> tuple[float | None, float | None]:
        names = ("loopbench_environments_agree", "loopbench_environment_difference_ratio")
        wanted = {"method": "FIT", **AGREEMENT} | labels
        first, second = (registry.get_sample_value(name, wanted) for name in names)
        return first, second

    return of


def test_an_upgrade_agrees_while_every_seed_does(metrics: ResultMetrics, change: Any, ended: Ended) -> None:
    metrics.set_environments([HERE])
    metrics.run_found(ended(FIT, environment=OLD, seconds=1))
    metrics.run_found(ended(FIT, environment=OLD, seconds=2, seed=1, correct=9_600))
    assert change() == (None, None)
    metrics.run_found(ended(FIT, environment=NOW, seconds=3))
    metrics.run_found(ended(FIT, environment=NOW, seconds=4, seed=2, digest="x", correct=0))
    assert change() == (1, 0), "only shared seeds count"
    metrics.run_found(ended(FIT, environment=NOW, seconds=5, seed=1, digest="b", correct=9_640))
    # The means over both seeds: 0.96305 before, 0.96505 now.
    assert change() == (0, pytest.approx(0.002))
    metrics.run_found(ended(FIT, environment=NOW, seconds=6, seed=1, correct=9_600))
    assert change() == (1, 0), "the last run of a seed counts"


def test_runs_that_were_found_before_the_environment_of_the_server_is_known_count(
    metrics: ResultMetrics, change: Any, ended: Ended
) -> None:
    metrics.run_found(ended(FIT, environment=OLD, seconds=1))
    metrics.run_found(ended(FIT, environment=NOW, seconds=2, digest="b"))
    assert change() == (None, None)
    metrics.set_environments([HERE])
    assert change() == (0, 0)


def test_after_a_rollback_the_withdrawn_software_does_not_count(
    metrics: ResultMetrics, change: Any, ended: Ended
) -> None:
    metrics.set_environments([HERE])
    for environment, seconds, digest in ((OLDER, 1, "a"), (NOW, 2, "a"), (OLD, 3, "b"), (NOW, 4, "a")):
        metrics.run_found(ended(FIT, environment=environment, seconds=seconds, digest=digest))
    assert change() == (1, 0)


def test_the_software_directly_before_counts(metrics: ResultMetrics, change: Any, ended: Ended) -> None:
    metrics.set_environments([HERE])
    for environment, seconds, digest in ((OLDER, 1, "a"), (OLD, 2, "b"), (NOW, 3, "a")):
        metrics.run_found(ended(FIT, environment=environment, seconds=seconds, digest=digest))
    assert change() == (0, 0)


@pytest.mark.parametrize("other", [{"epochs": 3}, {"execution": "XLA"}, {"environment": {**OLD, "threads": 2}}])
def test_other_specs_and_hardware_are_no_upgrade(
    metrics: ResultMetrics, change: Any, ended: Ended, other: dict[str, Any]
) -> None:
    metrics.set_environments([HERE])
    metrics.run_found(ended(FIT, digest="b", **{"environment": OLD, **other}))
    metrics.run_found(ended(TAPE, digest="b", environment=OLD))
    metrics.run_found(ended(FIT, environment=NOW, seconds=2))
    assert change() == (None, None)


def test_one_specification_that_changed_is_enough(metrics: ResultMetrics, change: Any, ended: Ended) -> None:
    metrics.set_environments([HERE])
    for epochs, digests in ((1, "ab"), (2, "cc")):
        for environment, digest, seconds in zip((OLD, NOW), digests, (1, 2), strict=True):
            metrics.run_found(ended(FIT, epochs=epochs, digest=digest, environment=environment, seconds=seconds))
    assert change() == (0, 0)
    assert change(method="GRADIENT_TAPE") == (None, None)


def test_forgotten_specifications_have_no_series(
    metrics: ResultMetrics, change: Any, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrades, "MAX_SPECS", 1)
    metrics.set_environments([HERE])
    metrics.run_found(ended(FIT, environment=OLD, seconds=1))
    metrics.run_found(ended(FIT, environment=NOW, seconds=2))
    assert change() == (1, 0)
    metrics.run_found(ended(TAPE, environment=NOW, seconds=3))
    assert change() == (None, None)


def test_diverged_runs_are_no_evidence_of_an_upgrade(metrics: ResultMetrics, change: Any, ended: Ended) -> None:
    metrics.set_environments([HERE])
    metrics.run_found(ended(FIT, environment=OLD, seconds=1))
    run = ended(FIT, environment=NOW, seconds=2)
    assert run.result is not None
    lost = run.result.model_copy(update={"diverged": spec.Divergence(epoch=1, step=1)})
    metrics.run_found(run.model_copy(update={"result": lost}))
    assert change() == (None, None)


def test_training_that_diverged_is_shown(metrics: ResultMetrics, accuracy: Any, ended: Ended) -> None:
    run = ended(FIT)
    assert run.result is not None
    lost = spec.FinalMetrics(loss=math.nan, accuracy=math.nan, correct=0, samples=0)
    metrics.run_found(run.model_copy(update={"result": run.result.model_copy(update={"validation": lost})}))
    (shown,) = accuracy()
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
async def test_no_end_is_found_again_after_the_clock_is_set_ahead_and_back(
    store: Store, end_in: Any, eventually: Any, set_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = []
    real = ended_runs._ends

    def recorded(store: Store, since: datetime) -> Any:
        polls.append(since)
        return real(store, since)

    monkeypatch.setattr(ended_runs, "_ends", recorded)
    for number in (1, 2, 3):
        end_in(store, number)
    found = Found()
    following = asyncio.create_task(follow_results(store, found))
    for number, step in enumerate((timedelta(hours=1), timedelta(hours=-1)), start=4):
        set_clock(step)
        end_in(store, number)
        seen = len(polls)
        await eventually(lambda seen=seen: len(polls) > seen + 2)
    await eventually(lambda: len(found.runs) >= 5)
    following.cancel()
    assert [number for number, _ in found.runs] == [1, 2, 3, 4, 5]


# Correct validation samples of 10,000 by seed, learning rate and method.
STORED = {
    (0, 0.1): {FIT: 8_700, TAPE: 8_700},
    (1, 0.1): {FIT: 8_900, TAPE: 8_900},
    (2, 0.1): {FIT: 9_400},
    (0, 0.001): {FIT: 5_200, TAPE: 5_200},
    (5, 0.001): {TAPE: 6_000},
}


@pytest.mark.usefixtures("_poll_often")
async def test_a_store_with_several_seeds_and_rates_shows_no_difference_that_is_only_a_seed(
    store: Store, metrics: ResultMetrics, registry: CollectorRegistry, ended: Ended, eventually: Any
) -> None:
    number = 0
    for (seed, rate), methods in STORED.items():
        for method, correct in methods.items():
            number += 1
            optimizer = {"kind": "sgd", "learning_rate": rate}
            run = ended(method, number=number, seed=seed, optimizer=optimizer, correct=correct)
            store.add(run.model_copy(update={"state": RunState.RUNNING, "result": None, "end_time": None}))
            store.update(run)
    following = asyncio.create_task(follow_results(store, metrics))
    stored = {"method": "GRADIENT_TAPE", "outcome": "SUCCEEDED"}
    await eventually(lambda: registry.get_sample_value("loopbench_stored_runs_total", stored) == 4)
    following.cancel()
    shown = values(registry, "loopbench_accuracy_ratio", split="validation")
    by_digest: dict[str, dict[str, float]] = {}
    for (name, digest), value in shown.items():
        by_digest.setdefault(digest, {})[name] = value
    # The mean of seeds 0 and 1 at 0.1, and seed 0 at 0.001.
    first, second = sorted(by_digest.values(), key=lambda means: means["FIT"], reverse=True)
    assert first == pytest.approx({"FIT": 0.88, "GRADIENT_TAPE": 0.88})
    assert second == pytest.approx({"FIT": 0.52, "GRADIENT_TAPE": 0.52})


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
