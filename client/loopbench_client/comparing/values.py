"""What people write of a spec, names and values as text, and the spec that it makes.

Names are those of the flags of ``train``, of the fields of :class:`~loopbench.spec.RunSpec` or of protobuf's JSON form:
``batch-size``, ``batch_size`` and ``batchSize`` are one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from loopbench.spec import VARIANTS, RunSpec, Violation, violations_of
from loopbench.spelling import suggestion
from loopbench.v1 import run_pb2
from loopbench.wire import enum_prefix

SEED = "seed"
FIELDS = RunSpec.model_fields.keys() - {SEED}
# Names of the parameters by the field that they belong to: optimizer or network.
PARAMETERS: dict[str, frozenset[str]] = {
    field: frozenset(name for kind in kinds.values() for name in kind.model_fields) - {"kind"}
    for field, kinds in VARIANTS.items()
}
# A spec, its optimizer and its network share no name, so that one list of names suffices.
NAMES = frozenset(FIELDS).union(*PARAMETERS.values())

_KINDS = (*run_pb2.Optimizer.DESCRIPTOR.fields, *run_pb2.Network.DESCRIPTOR.fields)
_MESSAGES = (run_pb2.RunSpec.DESCRIPTOR, *(kind.message_type for kind in _KINDS))
_JSON_NAMES: dict[str, str] = {
    camel: field.name
    for message in _MESSAGES
    if message is not None
    for camel, field in message.fields_by_camelcase_name.items()
}
# Protobuf's JSON form has them before the value.
_ENUM_PREFIXES: dict[str, str] = {
    field.name: enum_prefix(field.enum_type) for field in run_pb2.RunSpec.DESCRIPTOR.fields if field.enum_type
}

NOT_A_SEED = "the seeds are given for all specs together"


@dataclass(frozen=True)
class Given:
    """A value as it was written, and the place that an error names."""

    place: str
    text: str


def snake(name: str) -> str:
    """``batch-size`` and ``batchSize`` → ``batch_size``."""
    return _JSON_NAMES.get(name, name.replace("-", "_"))


class Values:
    """Collects what is given for one spec, or for all, and puts what cannot be meant into ``faults``."""

    def __init__(self, faults: list[Violation]) -> None:
        self.given: dict[str, Given] = {}
        self._faults = faults

    def add(self, name: str, place: str, text: str, known: frozenset[str] = NAMES) -> None:
        """Takes one value, if ``name`` is among the ``known`` names and new."""
        field = snake(name)
        wrong = self._fault(field, known)
        if wrong:
            self._faults.append(Violation(field=place, description=wrong))
        else:
            self.given[field] = Given(place, text)

    def _fault(self, field: str, known: frozenset[str]) -> str:
        if field == SEED:
            return NOT_A_SEED
        if field not in known:
            return f"there is no such name{suggestion(field, known) or f'; there are {_listed(known)}'}"
        return "is given twice" if field in self.given else ""

    def add_pairs(self, words: Iterable[str], place: str) -> None:
        """Takes ``name=value`` words; ``place`` is what an error names before the name."""
        for word in words:
            name, equals, text = word.partition("=")
            if equals:
                self.add(name.strip(), f"{place} {name.strip()}", text.strip())
            else:
                self._faults.append(Violation(field=f"{place} {word}", description="is not of the form NAME=VALUE"))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def spec_of(given: Mapping[str, Given], faults: list[Violation]) -> RunSpec | None:
    """The spec, whose other fields have their defaults; None where something is wrong; ``faults`` then names it."""
    wrong = dict([*_not_chosen(given), *(fault for field in VARIANTS for fault in _not_of_the_kind(field, given))])
    faults += wrong.values()
    # Without its kind, a parameter cannot be checked.
    unchecked = wrong.keys() | {name for field in VARIANTS if field in wrong for name in PARAMETERS[field]}
    checked = {name: one for name, one in given.items() if name not in unchecked}
    try:
        spec = RunSpec.model_validate(_fields(checked))
    except ValidationError as error:
        # Only what is given can be wrong: the defaults suit each other. A rule on several fields has to have all.
        known = [one for one in error.errors() if not wrong or one["type"] != "value_error"]
        faults += [
            Violation(field=_written(violation.field, checked).place, description=violation.description)
            for violation in violations_of(known)
        ]
        return None
    return None if wrong else spec


def _fields(given: Mapping[str, Given]) -> dict[str, Any]:
    """The fields of a spec as pydantic takes them."""
    fields: dict[str, Any] = {name: _plain(name, one.text) for name, one in given.items() if name in FIELDS}
    for field, known in PARAMETERS.items():
        parameters = {name: one.text for name, one in given.items() if name in known}
        fields[field] = {"kind": fields.get(field, _default_kind(field)), **parameters}
    return fields


def _written(path: str, given: Mapping[str, Given]) -> Given:
    """What was written for the field at ``path``; an item of a list belongs to the list."""
    return next(given[name] for name in reversed(path.split(".")) if name in given)


def _default_kind(field: str) -> str:
    return str(RunSpec.model_fields[field].default.kind)


def _choices(name: str) -> list[str] | None:
    """What a field that is a choice can be; None for another."""
    if name in VARIANTS:
        return [*VARIANTS[name]]
    kind = RunSpec.model_fields[name].annotation if name in FIELDS else None
    return [*kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else None


def _plain(name: str, text: str) -> str:
    """``gradient-tape`` and ``METHOD_GRADIENT_TAPE`` → ``GRADIENT_TAPE``; text that is no choice stays as it is."""
    if name in VARIANTS:
        return text.lower()
    if _choices(name) is None:
        return text
    return text.upper().replace("-", "_").removeprefix(_ENUM_PREFIXES[name])


def _not_chosen(given: Mapping[str, Given]) -> Iterable[tuple[str, Violation]]:
    for name, one in given.items():
        choices = _choices(name)
        if choices is not None and _plain(name, one.text) not in choices:
            words = [choice.lower().replace("_", "-") for choice in choices]
            description = f"{one.text!r} is not one of {', '.join(words)}{suggestion(one.text, words)}"
            yield name, Violation(field=one.place, description=description)


def _not_of_the_kind(field: str, given: Mapping[str, Given]) -> Iterable[tuple[str, Violation]]:
    kind = _plain(field, given[field].text) if field in given else _default_kind(field)
    kinds, parameters = VARIANTS[field], PARAMETERS[field]
    known = kinds[kind].model_fields.keys() - {"kind"} if kind in kinds else parameters
    for name in sorted((given.keys() & parameters) - known):
        words = f"{kind} has no such parameter; it has {_listed(known)}{suggestion(name, known)}"
        yield name, Violation(field=given[name].place, description=words)
