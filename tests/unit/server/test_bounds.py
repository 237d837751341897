"""Every field of every request has bounds, and is refused by its own path; a new one without bounds fails here."""

import math
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from loopbench import spec, wire
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench_server.service import (
    checked_diagnose_request,
    checked_evaluate_request,
    checked_page_size,
    checked_train_request,
    checked_uuid,
    together,
)
from tests.support.requests import FLOATS, INTEGERS, REQUESTS, Path, exists, leaves, name_of, with_list, with_value

# What the service does with a request before it looks at anything else.
CHECKS: dict[str, Any] = {
    "Train": checked_train_request,
    "Evaluate": checked_evaluate_request,
    "WatchRun": lambda request: checked_uuid("run_id", request.run_id),
    "GetRun": lambda request: checked_uuid("run_id", request.run_id),
    "ListRuns": lambda request: together(
        lambda: wire.filter_from_wire(request.filter), lambda: checked_page_size(request.page_size)
    ),
    "CancelRun": lambda request: checked_uuid("run_id", request.run_id),
    "DeleteRun": lambda request: checked_uuid("run_id", request.run_id),
    "Compare": wire.comparison_request_from_wire,
    "Diagnose": checked_diagnose_request,
    "GetServerInfo": lambda _: None,
}

# Integers of which no number at one end of the wire's range is refused, and why.
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
    """The fields that a request is refused for; none where it is taken."""
    try:
        CHECKS[method](request)
    except spec.InvalidFieldsError as error:
        return {violation.field for violation in error.violations}
    return set()


def numbers(*kinds: int) -> list[tuple[str, Descriptor, Path]]:
    """Method, request and path of every field of those kinds."""
    return [
        (method, request, path)
        for method, request in REQUESTS.items()
        for path in leaves(request)
        if path[-1].cpp_type in kinds
    ]


def named(case: Any) -> str:
    return name_of(case) if isinstance(case, tuple) else getattr(case, "name", str(case))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.7e308, -1.7e308])
@pytest.mark.parametrize(("method", "request_type", "path"), numbers(*FLOATS), ids=named)
def test_every_figure_is_finite_and_in_range(method: str, request_type: Descriptor, path: Path, value: float) -> None:
    assert name_of(path) in refused(method, with_value(request_type, path, value))


@pytest.mark.parametrize("end", [0, 1], ids=["lowest", "highest"])
@pytest.mark.parametrize(("method", "request_type", "path"), numbers(*INTEGERS), ids=named)
def test_every_integer_is_in_range(method: str, request_type: Descriptor, path: Path, end: int) -> None:
    request = with_value(request_type, path, INTEGERS[path[-1].cpp_type][end])
    allowed = name_of(path) in UNBOUNDED or (name_of(path) in CLAMPED and end)
    assert (name_of(path) in refused(method, request)) is not bool(allowed)


@pytest.mark.parametrize("number", [99, -1, 2**31 - 1])
@pytest.mark.parametrize(("method", "request_type", "path"), numbers(FieldDescriptor.CPPTYPE_ENUM), ids=named)
def test_every_enum_is_known(method: str, request_type: Descriptor, path: Path, number: int) -> None:
    assert name_of(path) in refused(method, with_value(request_type, path, number))


# Texts that are refused further on.
CHECKED_LATER = {"page_token": "with its filter, by the store", "groups.0.run_ids.0": "where the runs are looked up"}


@pytest.mark.parametrize(("method", "request_type", "path"), numbers(FieldDescriptor.CPPTYPE_STRING), ids=named)
def test_every_text_is_bounded(method: str, request_type: Descriptor, path: Path) -> None:
    request = with_value(request_type, path, "a" * 300)
    assert (name_of(path) in refused(method, request)) is (name_of(path) not in CHECKED_LATER)


def lists() -> list[tuple[str, Descriptor, Path]]:
    """Every list, which is a field on the way to another or at its end."""
    found = {
        (method, name_of(path[: place + 1])): (method, request, path[: place + 1])
        for method, request in REQUESTS.items()
        for path in leaves(request)
        for place, field in enumerate(path)
        if field.is_repeated
    }
    return list(found.values())


# What is not a number.
ITEMS: dict[int, Any] = {FieldDescriptor.TYPE_STRING: ""}


@pytest.mark.parametrize(("method", "request_type", "path"), lists(), ids=named)
def test_every_list_ends(method: str, request_type: Descriptor, path: Path) -> None:
    root, items = with_list(request_type, path)
    for _ in range(spec.LONGEST_LIST + 1):
        items.add() if path[-1].message_type else items.append(ITEMS.get(path[-1].type, 1))
    # The list itself, and nothing within it: to name a million bad items would take gigabytes.
    assert refused(method, root) == {name_of(path).removesuffix(".0")}


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


def test_all_that_is_wrong_is_named_at_once() -> None:
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
def test_paths_are_told_from_others(path: str, there: bool) -> None:
    assert exists(REQUESTS["Train"], path) is there
