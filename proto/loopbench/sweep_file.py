"""Reads the JSON file that names a sweep. One error names all that is wrong with it, each by its place.

::

    {"name": "losses", "seeds": [0, 1], "specs": [{"label": "tape", "spec": {"method": "METHOD_GRADIENT_TAPE"}}]}

A spec is a ``RunSpec`` in protobuf's JSON form, without a seed.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from pydantic import ValidationError

from loopbench import wire
from loopbench.spec import InvalidFieldsError, RunSpec, Violation, violations_of
from loopbench.spelling import suggestion
from loopbench.sweep import FILE_BYTES, Sweep
from loopbench.v1 import run_pb2

NOT_AN_OBJECT = "must be an object"
NOT_A_SEED = "the seeds are given for all specs together"


def read_sweep(path: Path) -> Sweep:
    """The sweep in the file at ``path``.

    Raises:
        InvalidFieldsError: naming everything that is wrong, by its place such as ``specs.tape.epochs``.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
        if len(content) > FILE_BYTES:
            raise _unreadable(path, f"must have at most {FILE_BYTES:,} bytes")
        document = json.loads(content, object_pairs_hook=_each_name_once)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidFieldsError):
            raise
        cause = error.strerror if isinstance(error, OSError) else None
        raise _unreadable(path, f"cannot be read: {cause or error}") from None
    if not isinstance(document, dict):
        raise _unreadable(path, NOT_AN_OBJECT)
    return _sweep(document)


def _unreadable(path: Path, words: str) -> InvalidFieldsError:
    return InvalidFieldsError((Violation(field=str(path), description=words),))


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the file. JSON would take the last of two values of one name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice in one object")
    return found


def _sweep(document: Mapping[str, Any]) -> Sweep:
    faults: list[Violation] = []
    given = document.get("specs")
    specs = [_labelled(one, number, faults) for number, one in enumerate(given)] if isinstance(given, list) else given
    try:
        sweep = Sweep.model_validate({**document, "specs": specs})
    except ValidationError as error:
        faults += violations_of(error.errors())
    if faults:
        raise InvalidFieldsError(tuple(faults))
    return sweep


def _labelled(given: Any, number: int, faults: list[Violation]) -> Any:
    """The item as the model takes it; a spec that is wrong is among the ``faults`` by its label."""
    if not isinstance(given, dict) or "spec" not in given:
        return given
    place = f"specs.{given.get('label', number)}"
    return {**given, "spec": _spec(given["spec"], place, faults)}


def _spec(given: Any, place: str, faults: list[Violation]) -> RunSpec:
    """The spec, or any other where there are ``faults``."""
    message = run_pb2.RunSpec()
    wrong = [*_parsed(given, message, place)]
    if message.HasField("seed"):
        wrong.append(Violation(field=f"{place}.seed", description=NOT_A_SEED))
    try:
        spec = wire.from_message(message, RunSpec, place)
    except InvalidFieldsError as error:
        wrong += error.violations
    faults += wrong
    return RunSpec() if wrong else spec


def _parsed(given: Any, message: Message, place: str) -> Iterable[Violation]:
    """Fills ``message`` field by field, since protobuf stops at the first that is wrong."""
    if not isinstance(given, dict):
        yield Violation(field=place, description=NOT_AN_OBJECT)
        return
    fields: dict[str, Any] = {}
    for names in (message.DESCRIPTOR.fields_by_camelcase_name, message.DESCRIPTOR.fields_by_name):
        fields.update(names.items())
    for name, value in given.items():
        here = f"{place}.{name}"
        if name not in fields:
            yield Violation(field=here, description=f"there is no such field{suggestion(name, fields)}")
        elif _taken(message, fields[name]):
            yield Violation(field=here, description="is given already, by this name or another of which one is taken")
        elif fields[name].message_type and isinstance(value, dict):
            part = getattr(message, fields[name].name)
            part.SetInParent()
            yield from _parsed(value, part, here)
        else:
            yield from _parsed_value(name, value, message, here)


def _taken(message: Message, field: Any) -> bool:
    choice = field.containing_oneof
    if choice is not None:
        return message.WhichOneof(choice.name) is not None
    return field.has_presence and message.HasField(field.name)


def _parsed_value(name: str, value: Any, message: Message, place: str) -> Iterable[Violation]:
    try:
        json_format.ParseDict({name: value}, message)
    except SystemError:  # protobuf, of half a surrogate pair
        yield Violation(field=place, description="is not valid Unicode")
    except json_format.ParseError as error:
        # Protobuf says first which field it is about, and last which type.
        words = str(error).partition(" field: ")[2] or str(error)
        yield Violation(field=place, description=words.partition(" at ")[0].rstrip("."))
