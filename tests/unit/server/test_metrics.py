"""Metrics of calls, runs and the service."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from loopbench import spec
from loopbench.spec import Device, RunState
from loopbench_server.errors import RunCancelledError, WorkerLostError, subclasses
from loopbench_server.rpc.methods import METHODS
from loopbench_server.runs.attempt import make_error
from loopbench_server.telemetry.metrics import Metrics
from loopbench_server.telemetry.metrics.host import ServiceMetrics
from loopbench_server.telemetry.metrics.labels import GO_CODES, OUTCOMES, spec_labels
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics
from loopbench_server.telemetry.metrics.runs import RunMetrics
from tests.support.factories import START

MakeRun = Callable[..., spec.Run]
TRAIN = ("unary", "loopbench.v1.BenchmarkService", "Train")
DEFAULT = {"method": "GRADIENT_TAPE", "loss": "SUM_OF_SQUARES", "optimizer": "sgd", "dataset": "MNIST"}
OTHER = {"method": "FIT", "loss": "CATEGORICAL_CROSSENTROPY", "optimizer": "adamw", "dataset": "DIGITS"}


@pytest.fixture
def value(registry: CollectorRegistry) -> Callable[..., float | None]:
    """Value of a series by name and labels."""

    def of(name: str, **labels: str) -> float | None:
        found: float | None = registry.get_sample_value(name, labels)
        return found

    return of


def values(registry: CollectorRegistry, name: str) -> list[float]:
    """Values of all series with that name."""
    return [sample.value for family in registry.collect() for sample in family.samples if sample.name == name]


@pytest.fixture
def runs(registry: CollectorRegistry) -> RunMetrics:
    return RunMetrics(registry, slots=3, queue_size=7)


@pytest.fixture
def rpcs(registry: CollectorRegistry) -> RpcMetrics:
    return RpcMetrics(registry, [TRAIN])


@pytest.fixture
def ended(make_run: MakeRun, make_result: Callable[..., spec.Result]) -> Callable[..., spec.Run]:
    """A run of OTHER that ended in this state."""
    other = spec.RunSpec(
        method=spec.Method.FIT,
        loss=spec.Loss.CATEGORICAL_CROSSENTROPY,
        optimizer=spec.AdamW(),
        dataset=spec.Dataset.DIGITS,
    )

    def of(state: RunState, **fields: Any) -> spec.Run:
        result = make_result() if state is RunState.SUCCEEDED else None
        error = None if result else make_error(WorkerLostError, "it is gone")
        return make_run(**{"spec": other, "state": state, "result": result, "error": error} | fields)

    return of


@pytest.mark.usefixtures("runs")
def test_run_series_start_at_zero(registry: CollectorRegistry, value: Any) -> None:
    assert value("loopbench_queue_depth") == value("loopbench_runs_running") == 0
    assert value("loopbench_slots") == 3
    assert value("loopbench_queue_limit") == 7
    assert value("loopbench_examples_total", **DEFAULT) == 0
    for error in subclasses():
        assert value("loopbench_run_errors_total", reason=error.reason) == 0
    # Methods, losses, optimizers, datasets, devices, outcomes.
    assert values(registry, "loopbench_runs_total") == [0] * (3 * 5 * 4 * 2 * 2 * 3)


def test_a_process_that_trains_one_specification_shows_no_others(registry: CollectorRegistry) -> None:
    RunMetrics(registry, slots=1, queue_size=0, specs=[spec_labels(spec.RunSpec())])
    assert values(registry, "loopbench_runs_total") == [0] * (2 * 3)
    assert values(registry, "loopbench_examples_total") == [0]
    assert values(registry, "loopbench_run_phase_seconds_count") == [0] * 6


@pytest.mark.usefixtures("rpcs")
def test_call_series_start_at_zero(registry: CollectorRegistry, value: Any) -> None:
    labels = dict(zip(("grpc_type", "grpc_service", "grpc_method"), TRAIN, strict=True))
    for name in ("started_total", "msg_received_total", "msg_sent_total", "handling_seconds_count"):
        assert value(f"grpc_server_{name}", **labels) == 0
    assert values(registry, "grpc_server_handled_total") == [0] * 17, "gRPC has as many status codes"


# google.golang.org/grpc/codes, by number.
GO = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"),
    *("PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented"),
    *("Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)


def test_statuses_have_their_names_in_go() -> None:
    by_number = sorted(grpc.StatusCode, key=lambda code: code.value)
    assert dict(zip([code.name for code in by_number], GO, strict=True)) == GO_CODES


def test_all_methods_of_all_services_are_known() -> None:
    known = {(kind, method) for kind, _, method in METHODS.values()}
    assert known >= {TRAIN[::2], ("server_stream", "WatchRun"), ("unary", "Check"), ("server_stream", "Watch")}
    assert ("bidi_stream", "ServerReflectionInfo") in known
    assert len(METHODS.values()) == 11 + 3 + 2


def test_a_call_updates_its_metrics(rpcs: RpcMetrics, value: Any) -> None:
    rpcs.began(TRAIN)
    rpcs.received(TRAIN)
    rpcs.failed("QUEUE_FULL")
    rpcs.ended(TRAIN, "RESOURCE_EXHAUSTED", 0.2)
    labels = dict(zip(("grpc_type", "grpc_service", "grpc_method"), TRAIN, strict=True))
    assert value("grpc_server_started_total", **labels) == 1
    assert value("grpc_server_msg_received_total", **labels) == 1
    assert value("grpc_server_msg_sent_total", **labels) == 0
    assert value("grpc_server_handled_total", **labels, grpc_code="ResourceExhausted") == 1
    assert value("grpc_server_handled_total", **labels, grpc_code="OK") == 0
    assert value("grpc_server_handling_seconds_sum", **labels) == 0.2
    assert value("loopbench_rpc_errors_total", reason="QUEUE_FULL") == 1


def test_gauges_follow_a_run(runs: RunMetrics, value: Any, make_run: MakeRun, ended: Any) -> None:
    def gauges() -> tuple[float, float]:
        return value("loopbench_queue_depth"), value("loopbench_runs_running")

    runs.run_queued(make_run())
    runs.run_queued(make_run())
    assert gauges() == (2, 0)
    runs.run_started(make_run())
    assert gauges() == (1, 1)
    runs.run_ended(ended(RunState.CANCELLED), had_slot=False)
    assert gauges() == (0, 1)
    runs.run_ended(ended(RunState.SUCCEEDED), had_slot=True)
    assert gauges() == (0, 0)


def test_the_wait_for_a_slot_is_measured(runs: RunMetrics, value: Any, make_run: MakeRun) -> None:
    runs.run_started(make_run(start_time=START + timedelta(seconds=2)))
    runs.run_started(make_run(start_time=START - timedelta(seconds=9)))  # the clock was set back
    assert value("loopbench_run_queue_seconds_count") == 2
    assert value("loopbench_run_queue_seconds_sum") == 2


@pytest.mark.parametrize("state", OUTCOMES)
def test_runs_are_counted_by_outcome(runs: RunMetrics, value: Any, ended: Any, state: RunState) -> None:
    runs.run_ended(ended(state), had_slot=True)
    counts = {outcome: value("loopbench_runs_total", **OTHER, device="CPU", outcome=outcome) for outcome in OUTCOMES}
    assert counts == {outcome: float(outcome is state) for outcome in OUTCOMES}
    assert value("loopbench_runs_total", **DEFAULT, device="CPU", outcome=state) == 0
    assert value("loopbench_run_errors_total", reason="WORKER_LOST") == (state is not RunState.SUCCEEDED)


@pytest.mark.parametrize(
    ("machine", "asked_and_counted"),
    [
        ((Device.CPU,), (Device.AUTO, "CPU")),
        ((Device.CPU, Device.GPU), (Device.AUTO, "GPU")),
        ((Device.CPU, Device.GPU), (Device.CPU, "CPU")),
        ((Device.CPU,), (Device.GPU, "GPU")),
    ],
)
def test_a_run_without_result_counts_for_its_requested_device(
    runs: RunMetrics, value: Any, ended: Any, machine: tuple[Device, ...], asked_and_counted: tuple[Device, str]
) -> None:
    asked, counted = asked_and_counted
    runs.set_devices(machine)
    failed = ended(RunState.FAILED)
    asking = failed.model_copy(update={"spec": failed.spec.model_copy(update={"device": asked})})
    runs.run_ended(asking, had_slot=True)
    assert value("loopbench_runs_total", **OTHER, device=counted, outcome="FAILED") == 1


def test_a_reason_of_another_version_is_a_failed_run(runs: RunMetrics, value: Any, ended: Any) -> None:
    runs.run_ended(ended(RunState.FAILED, error=spec.RunError(reason="NEWER", message="")), had_slot=True)
    assert value("loopbench_run_errors_total", reason="RUN_FAILED") == 1
    assert value("loopbench_run_errors_total", reason="NEWER") is None


def test_a_cancelled_run_counts_its_reason(runs: RunMetrics, value: Any, ended: Any) -> None:
    runs.run_ended(ended(RunState.CANCELLED, error=make_error(RunCancelledError, "")), had_slot=False)
    assert value("loopbench_run_errors_total", reason="RUN_CANCELLED") == 1


def test_abandoned_runs_of_others_are_counted(runs: RunMetrics, value: Any) -> None:
    assert value("loopbench_runs_abandoned_total") == 0
    runs.runs_abandoned(2)
    assert value("loopbench_runs_abandoned_total") == 2


def test_examples_are_counted_by_epoch(runs: RunMetrics, value: Any, make_run: MakeRun, make_epoch: Any) -> None:
    runs.epoch_ended(make_run(), make_epoch(1))
    runs.epoch_ended(make_run(), make_epoch(2, samples=50))
    assert value("loopbench_examples_total", **DEFAULT) == 1_438 + 50
    assert value("loopbench_run_examples_per_second_sum", method="GRADIENT_TAPE") == 2 * 719


def test_a_success_records_its_phases(runs: RunMetrics, value: Any, ended: Any) -> None:
    runs.run_ended(ended(RunState.SUCCEEDED), had_slot=True)
    for phase, seconds in {"queue": 0, "start": 0, "load": 0.5, "compile": 0, "train": 4, "evaluate": 0}.items():
        assert value("loopbench_run_phase_seconds_sum", method="FIT", phase=phase) == seconds
        assert value("loopbench_run_phase_seconds_count", method="FIT", phase=phase) == 1


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_other_ends_record_no_phases(runs: RunMetrics, value: Any, ended: Any, state: RunState) -> None:
    runs.run_ended(ended(state), had_slot=True)
    assert value("loopbench_run_phase_seconds_count", method="FIT", phase="train") == 0


def test_a_diverged_run_is_counted(runs: RunMetrics, value: Any, ended: Any, make_result: Any) -> None:
    lost = spec.FinalMetrics(loss=math.nan, accuracy=math.nan, correct=0, samples=0)
    runs.run_ended(ended(RunState.SUCCEEDED, result=make_result(train=lost)), had_slot=True)
    assert value("loopbench_runs_total", **OTHER, device="CPU", outcome="SUCCEEDED") == 1


def test_verdicts_are_counted(registry: CollectorRegistry, value: Any) -> None:
    service = ServiceMetrics(registry)
    pairs = [
        spec.PairComparison(
            first_label="a", second_label="b", verdict=verdict, difference=0, paired=True, explanation=""
        )
        for verdict in (spec.Verdict.IDENTICAL, spec.Verdict.IDENTICAL, spec.Verdict.DIFFERENT)
    ]
    service.count_verdicts(spec.Comparison(groups=(), pairs=tuple(pairs), margin=0.005, alpha=0.05))
    counts = {verdict: value("loopbench_comparison_pairs_total", verdict=verdict) for verdict in spec.Verdict}
    assert counts == {"IDENTICAL": 2, "EQUIVALENT": 0, "DIFFERENT": 1, "INCONCLUSIVE": 0, "DIVERGED": 0}


def test_the_number_of_series_is_bounded() -> None:
    metrics = Metrics(slots=1, queue_size=1, methods=METHODS.values())
    series = [sample for family in metrics.registry.collect() for sample in family.samples]
    # docs/metrics.md states this number, with the series of results and packages.
    assert len(series) < 2_000
