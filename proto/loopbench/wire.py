"""Between the models of :mod:`loopbench.spec` and the messages of ``loopbench.v1``.

Fields bear the same names on both sides, so one pair of functions, driven by the descriptors, converts them all; the
named pairs below it give each conversion its types. A value that the models refuse, an unknown enum number among them,
raises :class:`~loopbench.spec.InvalidFieldsError` with every bad field.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ValidationError

from loopbench import spec
from loopbench.v1 import analysis_pb2, benchmark_service_pb2, run_pb2

M = TypeVar("M", bound=Message)
T = TypeVar("T", bound=BaseModel)


def enum_prefix(descriptor: Any) -> str:
    """``LossAggregation`` → ``LOSS_REPORT_``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", descriptor.name).upper() + "_"


def _scalar_to_wire(value: Any, field: Any) -> Any:
    if isinstance(value, StrEnum):
        return field.enum_type.values_by_name[enum_prefix(field.enum_type) + value].number
    return value


def to_message(model: BaseModel, message: M) -> M:
    """Fills ``message`` from the fields of ``model`` that are not None, and returns it."""
    fields = message.DESCRIPTOR.fields_by_name
    for name in type(model).model_fields:
        value = getattr(model, name)
        if value is None or name == "kind":
            continue
        field, target = fields[name], getattr(message, name)
        if isinstance(value, datetime):
            target.FromDatetime(value)
        elif isinstance(value, spec.Variant):
            # A oneof whose member is named by the discriminator.
            chosen = getattr(target, value.kind)
            chosen.SetInParent()
            to_message(value, chosen)
        elif isinstance(value, BaseModel):
            target.SetInParent()
            to_message(value, target)
        elif isinstance(value, Mapping):
            target.update(value)
        elif isinstance(value, tuple):
            _fill_repeated(value, field, target)
        else:
            setattr(message, name, _scalar_to_wire(value, field))
    return message


def _fill_repeated(values: Iterable[Any], field: Any, target: Any) -> None:
    for value in values:
        if isinstance(value, BaseModel):
            to_message(value, target.add())
        else:
            target.append(_scalar_to_wire(value, field))


def _time_from_wire(value: Timestamp) -> Any:
    try:
        return value.ToDatetime(tzinfo=UTC)
    except ValueError:
        # Out of the range of dates: handed on as what no model takes for one, to be refused by its field.
        return f"{value.seconds} s and {value.nanos} ns"


def _value_from_wire(value: Any, field: Any) -> Any:
    if isinstance(value, Timestamp):
        return _time_from_wire(value)
    if isinstance(value, Message):
        return _variant(value) if has_variants(value.DESCRIPTOR) else _values(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        # An unknown number is handed on as it is: the model refuses it by its field.
        return value if known is None else known.name.removeprefix(enum_prefix(field.enum_type))
    return value


def has_variants(descriptor: Any) -> bool:
    """Whether messages of this type hold a :class:`loopbench.spec.Variant`, in a oneof ``kind``."""
    return "kind" in descriptor.oneofs_by_name


def _variant(message: Message) -> Any:
    kind = message.WhichOneof("kind")
    return None if kind is None else {"kind": kind, **_values(getattr(message, kind))}


def is_map(field: Any) -> bool:
    """Whether a field of a message is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _values(message: Message) -> dict[str, Any]:
    """The fields that are set, as the models' validation takes them; an unspecified enum counts as not set."""
    values: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if is_map(field):
            values[field.name] = dict(value)
        elif field.is_repeated:
            values[field.name] = tuple(_value_from_wire(item, field) for item in value)
        elif field.enum_type is None or value != 0:
            values[field.name] = _value_from_wire(value, field)
    return {name: value for name, value in values.items() if value is not None}


def _endless(message: Message, path: str) -> Iterator[spec.Violation]:
    """Lists, in any depth, that are longer than any that a caller may send."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}".removeprefix(".")
        if is_map(field):
            # Its model bounds it, and counts before it looks at any item.
            continue
        if not field.is_repeated:
            yield from _endless(value, here) if field.message_type else ()
        elif len(value) > spec.LONGEST_LIST:
            yield spec.Violation(field=here, description=f"must have at most {spec.LONGEST_LIST:,} items")
        elif field.message_type:
            for index, item in enumerate(value):
                yield from _endless(item, f"{here}.{index}")


def from_message(message: Message, model: type[T], prefix: str = "") -> T:
    """The model that ``message`` stands for; ``prefix`` goes before the field paths of an error.

    Raises:
        InvalidFieldsError: naming every bad field.
    """
    # Before all else: a megabyte of bad items takes seconds to look at, and gigabytes to name.
    if issubclass(model, spec.Input) and (endless := tuple(_endless(message, prefix))):
        raise spec.InvalidFieldsError(endless)
    try:
        return model.model_validate(_values(message))
    except ValidationError as error:
        raise spec.InvalidFieldsError(spec.violations_of(error.errors(), prefix)) from error


def spec_to_wire(value: spec.RunSpec) -> run_pb2.RunSpec:
    return to_message(value, run_pb2.RunSpec())


def spec_from_wire(message: run_pb2.RunSpec) -> spec.RunSpec:
    return from_message(message, spec.RunSpec, "spec")


def naming_from_wire(message: benchmark_service_pb2.TrainRequest) -> spec.Naming:
    try:
        return spec.Naming(name=message.name, labels=dict(message.labels))
    except ValidationError as error:
        raise spec.InvalidFieldsError(spec.violations_of(error.errors())) from error


def run_to_wire(value: spec.Run) -> run_pb2.Run:
    return to_message(value, run_pb2.Run())


def run_from_wire(message: run_pb2.Run) -> spec.Run:
    return from_message(message, spec.Run, "run")


def event_to_wire(value: spec.RunEvent) -> benchmark_service_pb2.WatchRunResponse:
    return to_message(value, benchmark_service_pb2.WatchRunResponse())


def event_from_wire(message: benchmark_service_pb2.WatchRunResponse) -> spec.RunEvent:
    return from_message(message, spec.RunEvent, "event")


def evaluation_request_to_wire(value: spec.EvaluationRequest) -> benchmark_service_pb2.EvaluateRequest:
    return to_message(value, benchmark_service_pb2.EvaluateRequest())


def evaluation_request_from_wire(message: benchmark_service_pb2.EvaluateRequest) -> spec.EvaluationRequest:
    return from_message(message, spec.EvaluationRequest)


def evaluation_to_wire(value: spec.Evaluation) -> benchmark_service_pb2.EvaluateResponse:
    return to_message(value, benchmark_service_pb2.EvaluateResponse())


def evaluation_from_wire(message: benchmark_service_pb2.EvaluateResponse) -> spec.Evaluation:
    return from_message(message, spec.Evaluation, "evaluation")


def filter_to_wire(value: spec.RunFilter) -> benchmark_service_pb2.RunFilter:
    return to_message(value, benchmark_service_pb2.RunFilter())


def filter_from_wire(message: benchmark_service_pb2.RunFilter) -> spec.RunFilter:
    return from_message(message, spec.RunFilter, "filter")


def group_to_wire(value: spec.RunGroup) -> analysis_pb2.RunGroup:
    return to_message(value, analysis_pb2.RunGroup())


def group_from_wire(message: analysis_pb2.RunGroup) -> spec.RunGroup:
    return from_message(message, spec.RunGroup, "groups")


def comparison_request_to_wire(value: spec.ComparisonRequest) -> benchmark_service_pb2.CompareRequest:
    return to_message(value, benchmark_service_pb2.CompareRequest())


def comparison_request_from_wire(message: benchmark_service_pb2.CompareRequest) -> spec.ComparisonRequest:
    return from_message(message, spec.ComparisonRequest)


def comparison_to_wire(value: spec.Comparison) -> analysis_pb2.Comparison:
    return to_message(value, analysis_pb2.Comparison())


def comparison_from_wire(message: analysis_pb2.Comparison) -> spec.Comparison:
    return from_message(message, spec.Comparison, "comparison")


def diagnosis_request_to_wire(value: spec.DiagnosisRequest) -> benchmark_service_pb2.DiagnoseRequest:
    return to_message(value, benchmark_service_pb2.DiagnoseRequest())


def diagnosis_request_from_wire(message: benchmark_service_pb2.DiagnoseRequest) -> spec.DiagnosisRequest:
    return from_message(message, spec.DiagnosisRequest)


def diagnosis_to_wire(value: spec.Diagnosis) -> analysis_pb2.Diagnosis:
    return to_message(value, analysis_pb2.Diagnosis())


def diagnosis_from_wire(message: analysis_pb2.Diagnosis) -> spec.Diagnosis:
    return from_message(message, spec.Diagnosis, "diagnosis")


def server_info_to_wire(value: spec.ServerInfo) -> benchmark_service_pb2.ServerInfo:
    return to_message(value, benchmark_service_pb2.ServerInfo())


def server_info_from_wire(message: benchmark_service_pb2.ServerInfo) -> spec.ServerInfo:
    return from_message(message, spec.ServerInfo, "server_info")
