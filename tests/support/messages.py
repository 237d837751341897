"""Hypothesis strategies for the bytes of a request, good and bad, from its descriptor alone."""

import uuid
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from loopbench.wire import is_map
from tests.support.requests import FLOATS, INTEGERS, empty_message

Values = st.SearchStrategy[Any]

UNKNOWN_ID = str(uuid.UUID(int=1))

# Within the bounds of every field of the contract.
SOUND: dict[int, Values] = {
    **dict.fromkeys(FLOATS, st.floats(0.01, 0.5)),
    **dict.fromkeys(INTEGERS, st.integers(2, 100)),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}
FIGURES = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.0, 1.0, 5e-324, 1.7e308, -1.7e308, 1e6, 1e12]
ODD: dict[int, Values] = {
    **dict.fromkeys(FLOATS, st.sampled_from(FIGURES) | st.floats()),
    **{kind: st.sampled_from([0, 1, *ends]) | st.integers(*ends) for kind, ends in INTEGERS.items()},
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.sampled_from([0, 99, -1, 2**31 - 1]),
    FieldDescriptor.CPPTYPE_STRING: st.text(max_size=20)
    | st.sampled_from(["", "\0", "a" * 100_000, "\N{PILE OF POO}" * 1_000, f"{{{UNKNOWN_ID}}}", "../../etc"]),
}
# Valid texts by field name; all other texts are ids.
TEXTS: dict[str, Values] = {
    "name": st.text("az ", max_size=10),
    "names": st.text("az ", min_size=1, max_size=10),
    "id_prefix": st.text("0123456789abcdef", min_size=4, max_size=8),
    "label": st.text(min_size=1, max_size=10),
    "optimizers": st.sampled_from(["sgd", "adam", "adamw", "rmsprop"]),
    "page_token": st.just(""),
    "service": st.sampled_from(["", "loopbench.v1.BenchmarkService", "other"]),
    "file_by_filename": st.sampled_from(["loopbench/v1/run.proto", "none.proto"]),
    "file_containing_symbol": st.sampled_from(["loopbench.v1.Run", "none"]),
}
LABEL = st.text("az09._-", min_size=1, max_size=10)
# At most one of them may be set.
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
MANY = 1_100
# A field that no message has, with possible contents.
UNKNOWN_FIELD = b"\xc2\x3e"


def _values(field: FieldDescriptor, ids: Sequence[str], *, odd: bool) -> Values:
    if odd:
        return ODD[field.cpp_type]
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values if value.number])
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return TEXTS.get(field.name, st.sampled_from([*ids, *ids, UNKNOWN_ID]))
    return SOUND[field.cpp_type]


def _fill(draw: st.DrawFn, message: Any, ids: Sequence[str], *, odd: bool) -> None:
    clip = draw(st.sampled_from(CLIPS))
    for field in message.DESCRIPTOR.fields:
        if not odd and field.name in CLIPS and field.name != clip:
            continue
        how = draw(st.sampled_from(["unset", "sound", "odd"] if odd else ["unset", "sound", "sound"]))
        if how == "unset":
            continue
        held = getattr(message, field.name)
        if is_map(field):
            kind = FieldDescriptor.CPPTYPE_STRING
            held.update(draw(st.dictionaries(*([ODD[kind] if how == "odd" else LABEL] * 2), max_size=3)))
        elif field.message_type is not None:
            items = [held.add() for _ in range(draw(st.integers(1, 3)))] if field.is_repeated else [held]
            for item in items:
                item.SetInParent()
                _fill(draw, item, ids, odd=how == "odd")
        elif field.is_repeated:
            values = _values(field, ids, odd=how == "odd")
            if how == "odd":
                held.extend(draw(st.lists(values, min_size=1, max_size=3)) * draw(st.sampled_from([1, MANY])))
            else:
                held.extend(draw(st.lists(values, min_size=1, max_size=3, unique=True)))
        else:
            setattr(message, field.name, draw(_values(field, ids, odd=how == "odd")))


@st.composite
def _serialized(draw: st.DrawFn, descriptor: Descriptor, ids: Sequence[str], *, odd: bool) -> bytes:
    message = empty_message(descriptor)
    _fill(draw, message, ids, odd=odd)
    return bytes(message.SerializeToString())


@st.composite
def _damaged(draw: st.DrawFn, descriptor: Descriptor, ids: Sequence[str]) -> bytes:
    """A truncated message, or one with changed or doubled bytes."""
    whole = draw(_serialized(descriptor, ids, odd=False))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    return draw(
        st.sampled_from([whole[:start], whole[:start] + whole[end:], whole[:end] + whole[start:]])
        | st.binary(min_size=1, max_size=4).map(lambda other: whole[:start] + other + whole[start + len(other) :])
    )


@st.composite
def _with_unknown_fields(draw: st.DrawFn, descriptor: Descriptor, ids: Sequence[str]) -> bytes:
    held = draw(st.binary(max_size=100))
    return draw(_serialized(descriptor, ids, odd=False)) + UNKNOWN_FIELD + bytes([len(held)]) + held


def request_strategies(descriptor: Descriptor, ids: Sequence[str]) -> dict[str, st.SearchStrategy[bytes]]:
    """Strategies for request bytes of this type by kind; ids come from ``ids`` or do not exist."""
    return {
        "sound fields": _serialized(descriptor, ids, odd=False),
        "odd fields": _serialized(descriptor, ids, odd=True),
        "unknown fields": _with_unknown_fields(descriptor, ids),
        "damaged": _damaged(descriptor, ids),
        "random bytes": st.binary(max_size=200),
    }
