import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from loopbench import spec, wire
from loopbench.v1 import analysis_pb2, benchmark_service_pb2, run_pb2

RATES = st.floats(0, 1e6, exclude_min=True)
DECAYS = st.floats(0, 1, exclude_max=True)
PENALTIES = st.floats(0, 1e6)
CLIPS = st.floats(0, 1e12, exclude_min=True)
FRACTIONS = st.floats(0, 1)

COMMON = {
    "use_ema": st.booleans(),
    "ema_momentum": FRACTIONS,
    "ema_overwrite_frequency": st.none() | st.integers(1, 1_000_000),
    "loss_scale_factor": st.none() | CLIPS,
    "gradient_accumulation_steps": st.none() | st.integers(2, 1_000_000),
    "learning_rate": RATES,
}
OWN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "sgd": {"weight_decay": st.none() | PENALTIES, "momentum": FRACTIONS, "nesterov": st.booleans()},
    "adam": {
        "weight_decay": st.none() | PENALTIES,
        "beta_1": DECAYS,
        "beta_2": DECAYS,
        "epsilon": RATES,
        "amsgrad": st.booleans(),
    },
    "adamw": {
        "weight_decay": PENALTIES,
        "beta_1": DECAYS,
        "beta_2": DECAYS,
        "epsilon": RATES,
        "amsgrad": st.booleans(),
    },
    "rmsprop": {
        "weight_decay": st.none() | PENALTIES,
        "rho": DECAYS,
        "momentum": FRACTIONS,
        "epsilon": RATES,
        "centered": st.booleans(),
    },
}
CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")


@st.composite
def optimizers(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(OWN)))
    clipping = draw(st.none() | st.sampled_from(CLIPPING))
    chosen = draw(st.fixed_dictionaries({}, optional=COMMON | OWN[kind]))
    return {"kind": kind, **chosen, **({clipping: draw(CLIPS)} if clipping else {})}


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "method": st.sampled_from(spec.Method),
    "loss": st.sampled_from(spec.Loss),
    "optimizer": optimizers(),
    "dataset": st.sampled_from(spec.Dataset),
    "epochs": st.integers(1, 1_000),
    "batch_size": st.integers(1, 60_000),
    "seed": st.integers(0, 2**32 - 1),
    "shuffle_buffer": st.integers(0, 1_000_000),
    "device": st.sampled_from(spec.Device),
    "execution": st.sampled_from([spec.Execution.GRAPH, spec.Execution.XLA]),
    "steps_per_execution": st.integers(0, 1_000_000),
    "accuracy_metric": st.sampled_from(spec.AccuracyMetric),
    "loss_aggregation": st.sampled_from(spec.LossAggregation),
    "tensorboard": st.booleans(),
    "replicas": st.just(1),
    "network": st.sampled_from(
        [
            {"kind": "mlp", "widths": (8, 4)},
            {"kind": "cnn", "filters": (2,), "dropout": 0.0},
            {"kind": "lstm", "units": 3},
            *({"kind": kind} for kind in spec.NETWORKS),
        ]
    ),
}
EAGER_FIELDS = FIELDS | {"execution": st.just(spec.Execution.EAGER), "steps_per_execution": st.integers(0, 1)}
SHARED_FIELDS = EAGER_FIELDS | {
    "method": st.sampled_from([spec.Method.FIT, spec.Method.CUSTOM_TRAIN_STEP]),
    "optimizer": st.just({"kind": "adam"}),
    "batch_size": st.integers(2, 1_000).map(lambda half: 2 * half).filter(lambda size: 359 % size != 1),
    "replicas": st.just(2),
}


def test_the_strategies_know_every_field() -> None:
    assert set(FIELDS) == set(spec.RunSpec.model_fields)
    assert {kind: {*COMMON, *own, *CLIPPING, "kind"} for kind, own in OWN.items()} == {
        kind: set(optimizer.model_fields) for kind, optimizer in spec.OPTIMIZERS.items()
    }


@settings(deadline=None)
@given(
    st.fixed_dictionaries({}, optional=FIELDS)
    | st.fixed_dictionaries(EAGER_FIELDS)
    | st.fixed_dictionaries(SHARED_FIELDS)
)
def test_a_spec_survives_the_wire(fields: dict[str, Any]) -> None:
    value = spec.RunSpec.model_validate(fields)
    sent = wire.spec_to_wire(value).SerializeToString()
    assert wire.spec_from_wire(run_pb2.RunSpec.FromString(sent)) == value


# Model → message; both have the same fields.
PAIRS: dict[type[BaseModel], type[Message]] = {
    **{model: getattr(run_pb2, model.__name__) for model in (spec.Sgd, spec.Adam, spec.AdamW, spec.RmsProp)},
    spec.RunSpec: run_pb2.RunSpec,
    spec.ClassMetrics: run_pb2.ClassMetrics,
    spec.FinalMetrics: run_pb2.FinalMetrics,
    spec.ReportedMetrics: run_pb2.ReportedMetrics,
    spec.Divergence: run_pb2.Divergence,
    spec.EpochRecord: run_pb2.EpochRecord,
    spec.Phases: run_pb2.Phases,
    spec.Environment: run_pb2.Environment,
    spec.Mlp: run_pb2.Mlp,
    spec.Cnn: run_pb2.Cnn,
    spec.Lstm: run_pb2.Lstm,
    spec.Result: run_pb2.Result,
    spec.RunError: run_pb2.RunError,
    spec.Run: run_pb2.Run,
    spec.Progress: run_pb2.Progress,
    spec.RunEvent: benchmark_service_pb2.WatchRunResponse,
    spec.Evaluation: benchmark_service_pb2.EvaluateResponse,
    spec.EvaluationRequest: benchmark_service_pb2.EvaluateRequest,
    spec.RunFilter: benchmark_service_pb2.RunFilter,
    spec.DeviceInfo: benchmark_service_pb2.DeviceInfo,
    spec.DatasetInfo: benchmark_service_pb2.DatasetInfo,
    spec.ServerLimits: benchmark_service_pb2.ServerLimits,
    spec.ServerInfo: benchmark_service_pb2.ServerInfo,
    spec.RunGroup: analysis_pb2.RunGroup,
    spec.ComparisonRequest: benchmark_service_pb2.CompareRequest,
    spec.GroupSummary: analysis_pb2.GroupSummary,
    spec.PairComparison: analysis_pb2.PairComparison,
    spec.Comparison: analysis_pb2.Comparison,
    spec.Evidence: analysis_pb2.Evidence,
    spec.Cause: analysis_pb2.Cause,
    spec.SideValues: analysis_pb2.SideValues,
    spec.UpdateRecord: analysis_pb2.UpdateRecord,
    spec.VariableRecord: analysis_pb2.VariableRecord,
    spec.LayerRecord: analysis_pb2.LayerRecord,
    spec.MetricRecord: analysis_pb2.MetricRecord,
    spec.FirstDifference: analysis_pb2.FirstDifference,
    spec.Replay: analysis_pb2.Replay,
    spec.Diagnosis: analysis_pb2.Diagnosis,
    spec.DiagnosisSubject: analysis_pb2.DiagnosisSubject,
    spec.DiagnosisRequest: benchmark_service_pb2.DiagnoseRequest,
}


def members(base: type) -> set[type]:
    return {kind for kind in vars(spec).values() if isinstance(kind, type) and issubclass(kind, base)}


def test_every_model_has_its_message() -> None:
    bases: set[type] = {BaseModel, spec.Model, spec.Input, spec.Variant, spec.BaseOptimizer, spec.BaseNetwork}
    # Naming is a part of TrainRequest and of Run.
    without_message: set[type] = {*bases, spec.Naming, spec.Violation}
    assert set(PAIRS) == members(BaseModel) - without_message


@pytest.mark.parametrize("model", PAIRS)
def test_model_and_message_have_the_same_fields(model: type[BaseModel]) -> None:
    assert set(model.model_fields) - {"kind"} == set(PAIRS[model].DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize("field", spec.VARIANTS)
def test_a_variant_is_one_of_the_table(field: str) -> None:
    kind: Any = run_pb2.RunSpec.DESCRIPTOR.fields_by_name[field].message_type
    assert wire.has_variants(kind)
    assert set(kind.fields_by_name) == set(spec.VARIANTS[field])


def test_an_empty_list_of_sizes_is_the_default() -> None:
    message = run_pb2.RunSpec()
    message.network.cnn.dropout = 0.5
    assert wire.spec_from_wire(message) == spec.RunSpec(network=spec.Cnn(dropout=0.5))


ENUMS: dict[type[StrEnum], Any] = {
    spec.Method: run_pb2.Method,
    spec.Loss: run_pb2.Loss,
    spec.Dataset: run_pb2.Dataset,
    spec.Device: run_pb2.Device,
    spec.Execution: run_pb2.Execution,
    spec.AccuracyMetric: run_pb2.AccuracyMetric,
    spec.LossAggregation: run_pb2.LossAggregation,
    spec.RunState: run_pb2.RunState,
    spec.Verdict: analysis_pb2.Verdict,
    spec.Side: analysis_pb2.Side,
    spec.Effect: analysis_pb2.Effect,
}


def test_the_table_of_enums_is_complete() -> None:
    # Messages hold a reason as text, which an older client can read.
    assert set(ENUMS) == members(StrEnum) - {StrEnum, spec.Reason}
    files = (run_pb2, analysis_pb2, benchmark_service_pb2)
    names = {name for file in files for name in file.DESCRIPTOR.enum_types_by_name}
    assert {enum.DESCRIPTOR.name for enum in ENUMS.values()} == names


@pytest.mark.parametrize("enum", ENUMS)
def test_enums_have_the_same_names_after_the_prefix(enum: type[StrEnum]) -> None:
    descriptor = ENUMS[enum].DESCRIPTOR
    prefix = wire.enum_prefix(descriptor)
    names = {value.number: value.name for value in descriptor.values}
    assert names.pop(0) == f"{prefix}UNSPECIFIED"
    assert set(names.values()) == {f"{prefix}{member.name}" for member in enum}
    assert all(member.name == member.value for member in enum)


def test_prefixes() -> None:
    assert wire.enum_prefix(run_pb2.LossAggregation.DESCRIPTOR) == "LOSS_AGGREGATION_"
    assert wire.enum_prefix(run_pb2.Method.DESCRIPTOR) == "METHOD_"


def violated(convert: Callable[[Any], Any], message: Message) -> list[str]:
    with pytest.raises(spec.InvalidFieldsError) as caught:
        convert(message)
    return [violation.field for violation in caught.value.violations]


def test_an_unknown_enum_number_is_refused_by_its_field() -> None:
    # Field 1 (method) is 99, field 12 (accuracy_metric) is 98: a newer client's.
    newer = run_pb2.RunSpec.FromString(b"\x08\x63\x60\x62")
    assert violated(wire.spec_from_wire, newer) == ["spec.method", "spec.accuracy_metric"]


def test_an_unspecified_enum_in_a_list_is_refused() -> None:
    states = [run_pb2.RUN_STATE_FAILED, run_pb2.RUN_STATE_UNSPECIFIED]
    assert violated(wire.filter_from_wire, benchmark_service_pb2.RunFilter(states=states)) == ["filter.states.1"]


def test_all_bad_fields_are_named() -> None:
    optimizer = run_pb2.Optimizer(adamw=run_pb2.AdamW(beta_1=1.0, clipnorm=1, clipvalue=1))
    message = run_pb2.RunSpec(epochs=0, batch_size=-1, optimizer=optimizer)
    paths = ["spec.epochs", "spec.batch_size", "spec.optimizer.adamw.beta_1", "spec.optimizer.adamw.clipvalue"]
    assert sorted(violated(wire.spec_from_wire, message)) == sorted(paths)


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_figures_of_a_spec_are_finite(figure: float) -> None:
    message = run_pb2.RunSpec(optimizer=run_pb2.Optimizer(sgd=run_pb2.Sgd(learning_rate=figure)))
    assert violated(wire.spec_from_wire, message) == ["spec.optimizer.sgd.learning_rate"]


def test_an_empty_message_is_the_default_job() -> None:
    assert wire.spec_from_wire(run_pb2.RunSpec()) == spec.RunSpec()
    assert wire.spec_from_wire(run_pb2.RunSpec(optimizer=run_pb2.Optimizer())) == spec.RunSpec()
    adam = run_pb2.RunSpec(optimizer=run_pb2.Optimizer(adam=run_pb2.Adam()))
    assert wire.spec_from_wire(adam) == spec.RunSpec(optimizer=spec.Adam())


def test_a_zero_is_not_an_unset_field() -> None:
    zeros = run_pb2.RunSpec(seed=0, shuffle_buffer=0, steps_per_execution=0, tensorboard=False)
    zeros.optimizer.adamw.weight_decay = 0
    read = wire.spec_from_wire(run_pb2.RunSpec.FromString(zeros.SerializeToString()))
    assert read == spec.RunSpec(seed=0, shuffle_buffer=0, optimizer=spec.AdamW(weight_decay=0))
    assert wire.spec_from_wire(run_pb2.RunSpec(optimizer=run_pb2.Optimizer(adamw=run_pb2.AdamW()))).optimizer == (
        spec.AdamW(weight_decay=0.004)
    )
    assert violated(wire.spec_from_wire, run_pb2.RunSpec(epochs=0)) == ["spec.epochs"]


def test_times_keep_microseconds_and_zone(make_run: Callable[..., spec.Run]) -> None:
    time = datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert wire.run_from_wire(wire.run_to_wire(make_run(create_time=time))).create_time == time


@pytest.mark.parametrize("seconds", [253_402_300_800, 10**12, -(10**12), 10**15])
def test_a_time_out_of_range_is_a_bad_field(seconds: int) -> None:
    message = benchmark_service_pb2.RunFilter()
    message.created_after.seconds = seconds
    with pytest.raises(spec.InvalidFieldsError) as caught:
        wire.filter_from_wire(message)
    assert [violation.field for violation in caught.value.violations] == ["filter.created_after"]
