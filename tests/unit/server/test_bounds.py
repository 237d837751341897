"""Every request field has bounds and is refused by its path; a new field without bounds fails here."""

import math
from collections.abc import Iterable
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from loopbench import spec, wire
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.wire import is_map
from loopbench_server.rpc.servicer import (
    collect_violations,
    parse_diagnose_request,
    parse_evaluate_request,
    parse_page_size,
    parse_train_request,
    parse_uuid,
)
from tests.support.requests import FLOATS, INTEGERS, REQUESTS, Path, exists, format_path, leaves, with_list, with_value

# The service's validation of each request.
CHECKS: dict[str, Any] = {
    "Train": parse_train_request,
    "Evaluate": parse_evaluate_request,
    "WatchRun": lambda request: parse_uuid("run_id", request.run_id),
    "GetRun": lambda request: parse_uuid("run_id", request.run_id),
    "ListRuns": lambda request: collect_violations(
        lambda: wire.filter_from_wire(request.filter), lambda: parse_page_size(request.page_size)
    ),
    "CancelRun": lambda request: parse_uuid("run_id", request.run_id),
    "DeleteRun": lambda request: parse_uuid("run_id", request.run_id),
    "GetWeights": lambda request: parse_uuid("run_id", request.run_id),
    "Compare": wire.comparison_request_from_wire,
    "Diagnose": parse_diagnose_request,
    "GetServerInfo": lambda _: None,
}

# Integers whose whole range at one end is valid, with the reason.
UNBOUNDED = {
    "spec.seed": "every uint32 is a seed",
    "filter.seeds.0": "every uint32 is a seed",
    "first.spec.seed": "every uint32 is a seed",
    "second.spec.seed": "every uint32 is a seed",
}
CLAMPED = {"page_size": "more than the largest page is the largest page"}


def test_the_table_of_checks_is_complete() -> None:
    assert list(CHECKS) == list(REQUESTS)


def refused(method: str, request: Any) -> set[str]:
    """Fields for which a request is refused; none if it is valid."""
    try:
        CHECKS[method](request)
    except spec.InvalidFieldsError as error:
        return {violation.field for violation in error.violations}
    return set()


Case = tuple[str, Descriptor, Path]


def fields(*kinds: int) -> list[Case]:
    """Method, request and path of every field of those kinds."""
    found = [
        (method, request, path)
        for method, request in REQUESTS.items()
        for path in leaves(request)
        if path[-1].cpp_type in kinds and not is_map(path[-1])
    ]
    assert found
    return found


def accepted(cases: list[Case], values: Iterable[Any]) -> list[str]:
    """Fields, with method and value, for which every request with that value is valid."""
    return [
        f"{method}: {format_path(path)}={value}"
        for method, request_type, path in cases
        for value in values
        if format_path(path) not in refused(method, with_value(request_type, path, value))
    ]


def test_every_figure_is_finite_and_in_range() -> None:
    assert accepted(fields(*FLOATS), [math.nan, math.inf, -math.inf, 1.7e308, -1.7e308]) == []


@pytest.mark.parametrize("end", [0, 1], ids=["lowest", "highest"])
def test_every_integer_is_in_range(end: int) -> None:
    wrong = []
    for method, request_type, path in fields(*INTEGERS):
        name, value = format_path(path), INTEGERS[path[-1].cpp_type][end]
        allowed = name in UNBOUNDED or (name in CLAMPED and end == 1)
        if (name in refused(method, with_value(request_type, path, value))) is allowed:
            wrong.append(f"{method}: {name}={value}")
    assert wrong == []


def test_every_enum_is_known() -> None:
    assert accepted(fields(FieldDescriptor.CPPTYPE_ENUM), [99, -1, 2**31 - 1]) == []


def maps() -> list[Case]:
    """Every map field; all are from texts to texts."""
    found = [
        (method, request, path) for method, request in REQUESTS.items() for path in leaves(request) if is_map(path[-1])
    ]
    assert found
    return found


@pytest.mark.parametrize(
    "items",
    [
        {f"key-{number}": "" for number in range(spec.MOST_LABELS + 1)},
        {"": "no key"},
        {"k" * 64: "long key"},
        {"not a key": ""},
        {"long-value": "v" * 101},
        {"two-lines": "a\nb"},
    ],
    ids=["too many", "empty key", "long key", "bad key", "long value", "two lines"],
)
def test_every_map_is_bounded(items: dict[str, str]) -> None:
    for method, request_type, path in maps():
        root, held = with_list(request_type, path)
        held.update(items)
        assert refused(method, root) == {format_path(path)}


def test_the_largest_map_is_valid() -> None:
    for method, request_type, path in maps():
        root, held = with_list(request_type, path)
        held.update({f"{number:063}": "v" * 100 for number in range(spec.MOST_LABELS)})
        assert refused(method, root) == set()


# Texts that are refused later.
CHECKED_LATER = {"page_token": "with its filter, by the store", "groups.0.run_ids.0": "where the runs are looked up"}


def test_every_text_is_bounded() -> None:
    found = {line.partition(": ")[2] for line in accepted(fields(FieldDescriptor.CPPTYPE_STRING), ["a" * 300])}
    assert found == {f"{name}={'a' * 300}" for name in CHECKED_LATER}


def lists() -> list[Case]:
    """Every list field, nested ones included."""
    found = {
        (method, format_path(path[: place + 1])): (method, request, path[: place + 1])
        for method, request in REQUESTS.items()
        for path in leaves(request)
        for place, field in enumerate(path)
        if field.is_repeated and not is_map(field)
    }
    assert found
    return list(found.values())


# NaN.
ITEMS: dict[int, Any] = {FieldDescriptor.TYPE_STRING: ""}


def test_every_list_ends() -> None:
    wrong = {}
    for method, request_type, path in lists():
        root, items = with_list(request_type, path)
        for _ in range(spec.LONGEST_LIST + 1):
            items.add() if path[-1].message_type else items.append(ITEMS.get(path[-1].type, 1))
        # Only the list itself: naming a million bad items would take gigabytes.
        name = format_path(path).removesuffix(".0")
        if (named := refused(method, root)) != {name}:
            wrong[f"{method}: {name}"] = named
    assert wrong == {}


@pytest.mark.parametrize(("seconds", "nanos"), [(0, -1), (0, 10**9), (0, 2**31 - 1), (-62_135_596_801, 0)])
def test_a_time_out_of_range_is_named(seconds: int, nanos: int) -> None:
    request = pb.ListRunsRequest()
    request.filter.created_before.seconds = seconds
    request.filter.created_before.nanos = nanos
    assert refused("ListRuns", request) == {"filter.created_before"}


def test_the_first_and_the_last_moment_are_times() -> None:
    request = pb.ListRunsRequest()
    request.filter.created_after.seconds = -62_135_596_800
    request.filter.created_before.seconds = 253_402_300_799
    request.filter.created_before.nanos = 999_999_999
    assert refused("ListRuns", request) == set()


def test_all_violations_are_named_together() -> None:
    listing = pb.ListRunsRequest(page_size=-1)
    listing.filter.optimizers.append("lion")
    assert refused("ListRuns", listing) == {"filter.optimizers.0", "page_size"}
    evaluation = pb.EvaluateRequest(run_id="no", method=99)  # type: ignore[arg-type]
    assert refused("Evaluate", evaluation) == {"run_id", "method"}
    diagnosis = pb.DiagnoseRequest(seeds=0)
    diagnosis.first.run_id = diagnosis.second.run_id = "no"
    assert refused("Diagnose", diagnosis) == {"seeds", "first.run_id", "second.run_id"}


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("spec", True),
        ("spec.optimizer.sgd.momentum", True),
        ("spec.epochs.0", False),
        ("spec.optimizer.lion", False),
        ("", False),
    ],
)
def test_field_paths_are_recognized(path: str, there: bool) -> None:
    assert exists(REQUESTS["Train"], path) is there
