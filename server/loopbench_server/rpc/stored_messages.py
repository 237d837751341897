"""Converts stored runs to messages.

The store holds JSON that a server has written from its models. These functions parse that JSON and pass it to the
constructors of the messages, which are C. Models in between would take five times as long, and a page has up to a
thousand runs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args

import sqlalchemy as sa
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from pydantic import BaseModel
from pydantic_core import from_json, to_jsonable_python

from loopbench.spec import EpochRecord, Result, RunError, RunSpec, RunState
from loopbench.v1 import benchmark_service_pb2, run_pb2
from loopbench.wire import enum_prefix, has_variants
from loopbench_server.store.schema import reading_run

Values = dict[str, Any]
Convert = Callable[[Any], Any]


def row_to_run_message(row: sa.Row[Any]) -> run_pb2.Run:
    """Return the run of a row of ``runs``.

    Raises:
        RunUnreadableError: the row has a field or a value that this server does not know; the log has details.
    """
    with reading_run(row.id):
        return run_pb2.Run(
            id=row.id,
            request_id=row.request_id,
            spec=_parse(RunSpec, run_pb2.RunSpec.DESCRIPTOR, row.spec),
            state=_state(row.state),
            create_time=row.create_time,
            start_time=row.start_time,
            end_time=row.end_time,
            result=_result(row.result),
            error=_parse(RunError, run_pb2.RunError.DESCRIPTOR, row.error),
            name=row.name,
            labels=from_json(row.labels) if row.labels else None,
        )


def row_to_ended_event(row: sa.Row[Any], records: Iterable[str]) -> benchmark_service_pb2.WatchRunResponse:
    """Return the only event of a run that has ended, from its row of ``runs`` and its records of ``epochs``.

    Raises:
        RunUnreadableError: as :func:`row_to_run_message`.
    """
    run = row_to_run_message(row)
    with reading_run(row.id):
        epochs = [_parse(EpochRecord, run_pb2.EpochRecord.DESCRIPTOR, record) for record in records]
        return benchmark_service_pb2.WatchRunResponse(state=run.state, epochs=epochs, run=run)


def _result(text: str | None) -> Any:
    values = _parse(Result, run_pb2.Result.DESCRIPTOR, text)
    # Older servers stored no field for divergence, and the model derives it. Only such a result contains these words.
    if text and values.get("diverged") is None and ("NaN" in text or "Infinity" in text):
        diverged = Result.model_validate_json(text).diverged
        return {**values, "diverged": diverged and diverged.model_dump(exclude_none=True)}
    return values


def _state(value: str) -> str:
    return enum_prefix(run_pb2.RunState.DESCRIPTOR) + RunState(value)


def _parse(model: type[BaseModel], descriptor: Any, text: str | None) -> Any:
    """Return the stored JSON of ``model`` in the form that the constructor of the message type accepts."""
    return _converter(model, descriptor)(from_json(text)) if text else None


@cache
def _converter(model: type[BaseModel], descriptor: Descriptor) -> Convert:
    """Return a function that adds defaults of missing fields and converts values that messages hold in another form."""
    defaults = {
        name: to_jsonable_python(default)
        for name, field in model.model_fields.items()
        if not field.is_required() and (default := field.get_default(call_default_factory=True)) is not None
    }
    changes = {
        name: change
        for name, field in descriptor.fields_by_name.items()
        if (change := _make_conversion(model.model_fields[name].annotation, field))
    }
    if not defaults and not changes:
        return _unchanged

    def convert(stored: Values) -> Values:
        values = {**defaults, **stored}
        for name, change in changes.items():
            if (value := values.get(name)) is not None:
                values[name] = change(value)
        return values

    return convert


def _unchanged(stored: Any) -> Any:
    return stored


def _make_conversion(annotation: Any, field: FieldDescriptor) -> Convert | None:
    """Return the conversion of a field's value, or None if it needs none."""
    if field.enum_type is not None:
        prefix = enum_prefix(field.enum_type)
        numbers = {value.name.removeprefix(prefix): value.number for value in field.enum_type.values}
        return _convert_each(numbers.__getitem__) if field.is_repeated else numbers.__getitem__
    if field.message_type is not None and has_variants(field.message_type):
        kinds = {kind.model_fields["kind"].default: kind for kind in _find_models(annotation)}
        return _convert_variant(kinds, field.message_type)
    model = next(_find_models(annotation), None)
    if field.message_type is None or model is None:
        return None
    convert = _converter(model, field.message_type)
    if convert is _unchanged:
        return None
    return _convert_each(convert) if field.is_repeated else convert


def _convert_each(change: Convert) -> Convert:
    return lambda values: [change(value) for value in values]


def _find_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation such as ``Model``, ``Model | None`` or ``tuple[Model, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _find_models(part)


def _convert_variant(kinds: Mapping[str, type[BaseModel]], descriptor: Descriptor) -> Convert:
    """Return the conversion of a variant: its discriminator names the member of the oneof."""
    fields: Any = descriptor.fields_by_name
    converters = {kind: _converter(model, fields[kind].message_type) for kind, model in kinds.items()}

    def convert(stored: Values) -> Values:
        kind = stored["kind"]
        values = converters[kind](stored)
        return {kind: {name: value for name, value in values.items() if name != "kind"}}

    return convert


def make_page_message(runs: Sequence[run_pb2.Run], next_page_token: str) -> benchmark_service_pb2.ListRunsResponse:
    """Return a page of runs as the response of ``ListRuns``."""
    return benchmark_service_pb2.ListRunsResponse(runs=runs, next_page_token=next_page_token)
