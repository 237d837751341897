"""Round trips of every message that a server or a client converts."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format
from pydantic import BaseModel

from loopbench import spec, wire
from loopbench.v1 import benchmark_service_pb2, run_pb2
from tests.support import factories
from tests.support.replays import make_replay

LATER = datetime(2026, 1, 2, 3, 4, 17, 1, tzinfo=UTC)


@pytest.fixture
def succeeded(make_run: Callable[..., spec.Run], make_result: Callable[..., spec.Result]) -> spec.Run:
    adam = spec.RunSpec(optimizer=spec.Adam(clipvalue=0.5), seed=2**32 - 1, dataset=spec.Dataset.DIGITS)
    times = {"start_time": LATER, "end_time": LATER}
    return make_run(spec=adam, state=spec.RunState.SUCCEEDED, result=make_result(tensorboard_dir="logs"), **times)


@pytest.fixture
def failed(make_run: Callable[..., spec.Run]) -> spec.Run:
    error = spec.RunError(reason="WORKER_LOST", message="killed", retryable=True, hint="Again.")
    return make_run(state=spec.RunState.FAILED, end_time=LATER, error=error)


CLASSES = (spec.ClassMetrics(predicted=(1, 2), accuracy=0.25), spec.ClassMetrics(predicted=(1, 0), accuracy=0.0))
FINAL = spec.FinalMetrics(loss=0.5, accuracy=0.25, correct=1, samples=4, classes=CLASSES)
REPORTED = spec.ReportedMetrics(loss=0.75, accuracy=1.0)
PROGRESS = spec.Progress(
    epoch=1, epochs=2, step=0, steps_per_epoch=45, train=REPORTED, examples_per_second=0, seconds_left=0.5
)
SUMMARY = spec.GroupSummary(
    label="tape",
    run_ids=("a", "b"),
    seeds=(0, 7),
    train_accuracies=(0.5, 0.75),
    validation_accuracies=(0.5, 0.25),
    train_accuracy_mean=0.625,
    validation_accuracy_mean=0.375,
    train_accuracy_sd=0.0,
)
PAIR = spec.PairComparison(
    first_label="tape",
    second_label="fit",
    verdict=spec.Verdict.INCONCLUSIVE,
    difference=-0.25,
    interval_low=-1.0,
    interval_high=0.0,
    effect_size=0.0,
    equivalence_p_value=1.0,
    difference_p_value=0.5,
    paired=True,
    seeds_needed=0,
    explanation="No.",
)
COMPARISON = spec.Comparison(groups=(SUMMARY, SUMMARY), pairs=(PAIR,), margin=0.005, alpha=0.05)
EVIDENCE = spec.Evidence(name="divisor", description="of the last batch", expected=30.0, observed=0.0)
CAUSE = spec.Cause(
    reason="LOSS_REDUCTION", title="t", evidence=(EVIDENCE,), consequence="e", fix="f", side=spec.Side.FIRST
)
FILTER = spec.RunFilter(
    states=(spec.RunState.QUEUED, spec.RunState.FAILED),
    methods=(spec.Method.FIT,),
    losses=(spec.Loss.SUM_OF_SQUARES_FIXED_BATCH,),
    datasets=(spec.Dataset.DIGITS,),
    optimizers=("sgd", "rmsprop"),
    seeds=(0, 2**32 - 1),
    created_after=LATER,
    created_before=LATER,
)
INFO = spec.ServerInfo(
    ready=True,
    versions={"tensorflow": "2.21.0"},
    devices=(spec.DeviceInfo(type=spec.Device.GPU, name="/physical_device:GPU:0"),),
    datasets=(
        spec.DatasetInfo(dataset=spec.Dataset.MNIST, available=False, train_samples=60_000, validation_samples=10_000),
    ),
    limits=spec.ServerLimits(slots=2, queue_size=0, message_bytes=1 << 20),
    environments=(factories.make_environment(device=spec.Device.GPU),),
    running=0,
    queued=3,
    methods=(spec.Method.FIT,),
    accuracy_metrics=(),
)
GROUPS = (spec.RunGroup(label="tape", run_ids=("a", "b")), spec.RunGroup(label="fit", run_ids=("c",)))
EXAMPLES: list[tuple[str, BaseModel]] = [
    ("spec", spec.RunSpec(shuffle_buffer=0, optimizer=spec.RmsProp(weight_decay=0.0))),
    ("spec", spec.RunSpec(network=spec.Cnn(filters=(8, 4), dropout=0.0))),
    ("event", spec.RunEvent(state=spec.RunState.QUEUED, queue_position=0)),
    ("event", spec.RunEvent(state=spec.RunState.RUNNING, progress=PROGRESS)),
    ("event", spec.RunEvent(state=spec.RunState.RUNNING, progress=PROGRESS.model_copy(update={"train": None}))),
    ("evaluation_request", spec.EvaluationRequest(run_id="a", loss=spec.Loss.SUM_OF_SQUARES)),
    (
        "evaluation_request",
        spec.EvaluationRequest(spec=spec.RunSpec(), method=spec.Method.FIT, accuracy_metric=spec.AccuracyMetric.ARGMAX),
    ),
    (
        "evaluation",
        spec.Evaluation(
            run_id="a",
            method=spec.Method.CUSTOM_TRAIN_STEP,
            loss=spec.Loss.CATEGORICAL_CROSSENTROPY,
            accuracy_metric=spec.AccuracyMetric.CATEGORICAL_ON_LABELS,
            reported_train=REPORTED,
            reported_validation=REPORTED,
            train=FINAL,
            validation=FINAL,
        ),
    ),
    ("filter", FILTER),
    ("filter", spec.RunFilter()),
    ("group", GROUPS[0]),
    ("comparison_request", spec.ComparisonRequest(groups=GROUPS, margin=0.01, alpha=0.1)),
    ("comparison", COMPARISON),
    ("diagnosis", spec.Diagnosis(causes=(CAUSE,), controls=(EVIDENCE,), verification=COMPARISON)),
    ("diagnosis", spec.Diagnosis(causes=(), controls=(), replay=make_replay())),
    ("diagnosis", spec.Diagnosis(causes=(), controls=())),
    (
        "diagnosis",
        spec.Diagnosis(
            causes=(),
            controls=(),
            first=spec.RunSpec(),
            second=spec.RunSpec(seed=1),
            fixed_first=spec.RunSpec(seed=2),
            fixed_second=spec.RunSpec(seed=3),
        ),
    ),
    (
        "diagnosis_request",
        spec.DiagnosisRequest(
            first=spec.DiagnosisSubject(run_id="a"),
            second=spec.DiagnosisSubject(spec=spec.RunSpec()),
            verify=True,
            seeds=7,
        ),
    ),
    ("server_info", INFO),
]


def there_and_back(name: str, value: BaseModel) -> Any:
    message = getattr(wire, f"{name}_to_wire")(value)
    return getattr(wire, f"{name}_from_wire")(type(message).FromString(message.SerializeToString()))


@pytest.mark.parametrize(("name", "value"), EXAMPLES)
def test_examples_survive_the_wire(name: str, value: BaseModel) -> None:
    assert there_and_back(name, value) == value


def test_runs_survive_the_wire(make_run: Callable[..., spec.Run], succeeded: spec.Run, failed: spec.Run) -> None:
    for run in (make_run(), succeeded, failed):
        assert there_and_back("run", run) == run


def test_a_last_event_survives_the_wire(succeeded: spec.Run) -> None:
    assert succeeded.result is not None
    event = spec.RunEvent(state=succeeded.state, epochs=succeeded.result.history, run=succeeded)
    assert there_and_back("event", event) == event


def test_every_pair_has_an_example() -> None:
    pairs = {name.removesuffix("_to_wire") for name in vars(wire) if name.endswith("_to_wire") and name[0] != "_"}
    assert pairs == {name for name, _ in EXAMPLES} | {"run"}
    assert all(hasattr(wire, f"{name}_from_wire") for name in pairs)


def test_runs_survive_json(succeeded: spec.Run, failed: spec.Run) -> None:
    for run in (succeeded, failed):
        text = json_format.MessageToJson(wire.run_to_wire(run))
        assert wire.run_from_wire(json_format.Parse(text, run_pb2.Run())) == run


def test_json_speaks_the_contract(succeeded: spec.Run) -> None:
    read = json_format.MessageToDict(wire.run_to_wire(succeeded), preserving_proto_field_name=True)
    assert read["state"] == "RUN_STATE_SUCCEEDED"
    assert read["end_time"] == "2026-01-02T03:04:17.000001Z"
    assert read["spec"]["optimizer"]["adam"]["clipvalue"] == 0.5
    assert read["spec"]["seed"] == 4_294_967_295
    assert read["result"]["validation"]["samples"] == "359"


def test_nan_survives(make_result: Callable[..., spec.Result], make_run: Callable[..., spec.Run]) -> None:
    lost = spec.ReportedMetrics(loss=math.nan, accuracy=math.nan)
    run = make_run(state=spec.RunState.SUCCEEDED, result=make_result(reported_validation=lost))
    read = there_and_back("run", run)
    assert math.isnan(read.result.reported_validation.accuracy)
    assert math.isnan(read.result.reported_validation.loss)
    assert run.result is not None
    assert read.result.train == run.result.train


def test_unset_fields_stay_unset(make_run: Callable[..., spec.Run]) -> None:
    message = wire.run_to_wire(make_run())
    assert {field.name for field, _ in message.ListFields()} == {"id", "request_id", "spec", "state", "create_time"}
    event = wire.event_to_wire(spec.RunEvent(state=spec.RunState.RUNNING))
    assert not event.HasField("queue_position")
    assert not event.HasField("progress")


def test_a_source_is_required() -> None:
    with pytest.raises(spec.InvalidFieldsError) as caught:
        wire.evaluation_request_from_wire(benchmark_service_pb2.EvaluateRequest(method=run_pb2.METHOD_FIT))
    assert [violation.field for violation in caught.value.violations] == ["spec"]


def test_a_run_without_a_state_is_refused() -> None:
    message = run_pb2.Run(id="a", request_id="b", spec=run_pb2.RunSpec())
    with pytest.raises(spec.InvalidFieldsError) as caught:
        wire.run_from_wire(message)
    assert [violation.field for violation in caught.value.violations] == ["run.state", "run.create_time"]
