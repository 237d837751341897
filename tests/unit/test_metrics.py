import math
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from loopbench import spec
from loopbench.spec import RunState
from loopbench_server.metrics import ENDED, Metrics

MakeRun = Callable[..., spec.Run]
DEFAULT = {"method": "GRADIENT_TAPE", "loss": "SUM_OF_SQUARES", "optimizer": "sgd", "dataset": "MNIST"}
OTHER = {"method": "FIT", "loss": "CATEGORICAL_CROSSENTROPY", "optimizer": "adamw", "dataset": "DIGITS"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry, "1.2.3", slots=3)


@pytest.fixture
def ended(make_run: MakeRun, make_result: Callable[..., spec.Result]) -> Callable[[RunState], spec.Run]:
    def of(state: RunState) -> spec.Run:
        other = spec.RunSpec(
            method=spec.Method.FIT,
            loss=spec.Loss.CATEGORICAL_CROSSENTROPY,
            optimizer=spec.AdamW(),
            dataset=spec.Dataset.DIGITS,
        )
        return make_run(spec=other, state=state, result=make_result() if state is RunState.SUCCEEDED else None)

    return of


@pytest.mark.usefixtures("metrics")
def test_series_are_there_from_zero(registry: CollectorRegistry) -> None:
    assert registry.get_sample_value("loopbench_queue_depth") == 0
    assert registry.get_sample_value("loopbench_runs_running") == 0
    assert registry.get_sample_value("loopbench_slots") == 3
    assert registry.get_sample_value("loopbench_build_info", {"version": "1.2.3"}) == 1
    for state in ENDED:
        assert registry.get_sample_value("loopbench_runs_total", {**DEFAULT, "state": state}) == 0
    (runs,) = (family for family in registry.collect() if family.name == "loopbench_runs")
    series = [sample for sample in runs.samples if sample.name == "loopbench_runs_total"]
    # Methods, losses, optimizers, datasets, outcomes.
    assert len(series) == 3 * 4 * 4 * 2 * 3


def gauges(registry: CollectorRegistry) -> tuple[float | None, float | None]:
    """Runs that wait, runs that have a slot."""
    return registry.get_sample_value("loopbench_queue_depth"), registry.get_sample_value("loopbench_runs_running")


def test_gauges_follow_a_run(
    metrics: Metrics, registry: CollectorRegistry, make_run: MakeRun, ended: Callable[[RunState], spec.Run]
) -> None:
    metrics.run_queued(make_run())
    metrics.run_queued(make_run())
    assert gauges(registry) == (2, 0)
    metrics.run_started(make_run())
    assert gauges(registry) == (1, 1)
    metrics.run_ended(ended(RunState.CANCELLED), had_slot=False)
    assert gauges(registry) == (0, 1)
    metrics.run_ended(ended(RunState.SUCCEEDED), had_slot=True)
    assert gauges(registry) == (0, 0)


@pytest.mark.parametrize("state", ENDED)
def test_runs_are_counted_by_outcome(
    metrics: Metrics,
    registry: CollectorRegistry,
    make_run: MakeRun,
    ended: Callable[[RunState], spec.Run],
    state: RunState,
) -> None:
    metrics.run_queued(make_run())
    metrics.run_started(make_run())
    metrics.run_ended(ended(state), had_slot=True)
    counts = {
        outcome: registry.get_sample_value("loopbench_runs_total", {**OTHER, "state": outcome}) for outcome in ENDED
    }
    assert counts == {outcome: float(outcome is state) for outcome in ENDED}
    assert registry.get_sample_value("loopbench_runs_total", {**DEFAULT, "state": state}) == 0


def test_examples_are_counted_by_epoch(
    metrics: Metrics, registry: CollectorRegistry, make_run: MakeRun, make_epoch: Callable[..., spec.EpochRecord]
) -> None:
    metrics.epoch_ended(make_run(), make_epoch(1))
    metrics.epoch_ended(make_run(), make_epoch(2, samples=50))
    assert registry.get_sample_value("loopbench_examples_total", DEFAULT) == 1_438 + 50


def test_a_success_leaves_its_phases_and_accuracies(
    metrics: Metrics, registry: CollectorRegistry, ended: Callable[[RunState], spec.Run]
) -> None:
    metrics.run_ended(ended(RunState.SUCCEEDED), had_slot=True)
    for phase, seconds in {"queue": 0, "start": 0, "load": 0.5, "compile": 0, "train": 4, "evaluate": 0}.items():
        labels = {"method": "FIT", "phase": phase}
        assert registry.get_sample_value("loopbench_run_phase_seconds_sum", labels) == seconds
        assert registry.get_sample_value("loopbench_run_phase_seconds_count", labels) == 1
    accuracies = {
        split: registry.get_sample_value("loopbench_accuracy_ratio", {**OTHER, "split": split})
        for split in ("train", "validation")
    }
    assert accuracies == {"train": 0.5, "validation": 0.0}


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_other_ends_leave_neither(
    metrics: Metrics, registry: CollectorRegistry, ended: Callable[[RunState], spec.Run], state: RunState
) -> None:
    metrics.run_ended(ended(state), had_slot=True)
    labels = {"method": "FIT", "phase": "train"}
    assert registry.get_sample_value("loopbench_run_phase_seconds_count", labels) is None
    assert registry.get_sample_value("loopbench_accuracy_ratio", {**OTHER, "split": "train"}) is None


def test_a_diverged_run_is_counted(
    metrics: Metrics, registry: CollectorRegistry, make_run: MakeRun, make_result: Callable[..., spec.Result]
) -> None:
    lost = spec.Audit(loss=math.nan, accuracy=math.nan, correct=0, samples=0)
    metrics.run_ended(make_run(state=RunState.SUCCEEDED, result=make_result(train=lost)), had_slot=True)
    accuracy = registry.get_sample_value("loopbench_accuracy_ratio", {**DEFAULT, "split": "train"})
    assert accuracy is not None
    assert math.isnan(accuracy)


@pytest.mark.usefixtures("metrics")
def test_names_are_those_of_prometheus(registry: CollectorRegistry) -> None:
    assert {(family.name, family.type) for family in registry.collect()} == {
        ("grpc_server_started", "counter"),
        ("grpc_server_handled", "counter"),
        ("grpc_server_handling_seconds", "histogram"),
        ("loopbench_runs", "counter"),
        ("loopbench_run_phase_seconds", "histogram"),
        ("loopbench_examples", "counter"),
        ("loopbench_queue_depth", "gauge"),
        ("loopbench_runs_running", "gauge"),
        ("loopbench_accuracy_ratio", "gauge"),
        ("loopbench_slots", "gauge"),
        ("loopbench_build_info", "gauge"),
    }
