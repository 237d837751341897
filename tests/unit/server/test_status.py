import re
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from loopbench.spec import InvalidFieldsError, Violation
from loopbench_server import errors
from loopbench_server.rpc.error_mapping import STATUSES, from_exception, to_status

ALL = errors.subclasses()
RETRYABLE = {
    "QUEUE_FULL",
    "CALLER_LIMIT",
    "TOO_MANY_CALLS",
    "MESSAGE_TIMEOUT",
    "SERVER_DRAINING",
    "TRAINING_PROCESS_UNAVAILABLE",
    "CALLER_GONE",
    "STORE_FAILED",
    "STORE_REPLACED",
    "TEMPORARY_FOLDER_NOT_WRITABLE",
    "TENSORBOARD_FULL",
    "SERVER_LOST",
    "WORKER_LOST",
}


def details(error: Any) -> dict[type, Any]:
    """The details of the status, by their type."""
    (packed,) = (
        value for key, value in to_status(from_exception(error)).trailing_metadata if key == "grpc-status-details-bin"
    )
    found = {}
    for detail in Status.FromString(packed).details:
        (kind,) = (kind for kind in (BadRequest, ErrorInfo, RetryInfo) if detail.Is(kind.DESCRIPTOR))
        found[kind] = kind()
        assert detail.Unpack(found[kind])
    return found


def test_every_error_has_a_status() -> None:
    assert set(STATUSES) == set(ALL)


@pytest.mark.parametrize("error", ALL)
def test_every_error_has_its_row_in_the_table(error: type[errors.LoopbenchServerError]) -> None:
    # Its own row: what is inherited says something of another error.
    assert {"reason", "hint", "__doc__"} <= vars(error).keys()
    assert error.hint.endswith(".")
    assert error.__doc__


def test_reasons_are_unique_and_in_upper_case() -> None:
    reasons = [error.reason for error in ALL]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch("[A-Z][A-Z0-9_]*[A-Z0-9]", reason) for reason in reasons)


def test_these_errors_can_be_retried() -> None:
    assert {error.reason for error in ALL if error.retryable} == RETRYABLE


@pytest.mark.parametrize("error", ALL)
def test_a_status_tells_reason_and_hint(error: type[errors.LoopbenchServerError]) -> None:
    status = to_status(error("why", run_id="a"))
    assert (status.code, status.details) == (STATUSES[error], "why")
    told = details(error("why", run_id="a"))
    retryable = error.reason in RETRYABLE
    assert (RetryInfo in told) is retryable
    info = told[ErrorInfo]
    assert (info.reason, info.domain) == (error.reason, "loopbench")
    assert info.metadata == {"hint": error.hint, "retryable": str(retryable).lower(), "run_id": "a"}
    if retryable:
        # Long enough for a lease to expire, short enough for a caller that waits.
        assert told[RetryInfo].retry_delay.ToSeconds() == 5


def test_a_status_names_every_bad_field() -> None:
    violations = (
        Violation(field="spec.epochs", description="too many"),
        Violation(field="request_id", description="no UUID"),
    )
    bad = from_exception(InvalidFieldsError(violations))
    status = to_status(bad)
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    assert status.details == "spec.epochs: too many; request_id: no UUID"
    told = details(bad)
    assert set(told) == {BadRequest, ErrorInfo}
    named = [(violation.field, violation.description) for violation in told[BadRequest].field_violations]
    assert named == [("spec.epochs", "too many"), ("request_id", "no UUID")]
    assert (told[ErrorInfo].reason, told[ErrorInfo].domain) == ("INVALID_FIELDS", "loopbench")


def test_a_fault_of_ours_is_told_without_its_words() -> None:
    told = from_exception(KeyError("secret"))
    assert told.reason == "INTERNAL"
    assert "secret" not in str(to_status(told))


def test_an_error_of_the_table_is_told_as_it_is() -> None:
    full = errors.QueueFullError("no room")
    assert from_exception(full) is full


def test_a_status_has_room_for_all_that_can_be_wrong_with_two_specs() -> None:
    # 23 fields a spec; the descriptions are as long as those of enums are.
    sides = [f"{side}.spec.optimizer.adam.field_{number}" for side in ("first", "second") for number in range(23)]
    bad = InvalidFieldsError(tuple(Violation(field=field, description="too large " * 4) for field in sides))
    assert [violation.field for violation in details(bad)[BadRequest].field_violations] == sides
    assert metadata_bytes(bad) < 8_192


def test_a_status_names_the_first_of_too_many_bad_fields() -> None:
    bad = InvalidFieldsError(
        tuple(Violation(field=f"groups.{number}.label", description="is too long") for number in range(100_000))
    )
    named = [violation.field for violation in details(bad)[BadRequest].field_violations]
    assert named == [f"groups.{number}.label" for number in range(len(named))]
    assert len(named) > 50
    told = to_status(from_exception(bad)).details
    assert told.startswith("groups.0.label: is too long; groups.1.label: is too long; ")
    said, more = told.rsplit("; and ", 1)
    assert more == f"{100_000 - said.count('is too long'):,} more"
    assert metadata_bytes(bad) < 8_192


def metadata_bytes(error: Any) -> int:
    """What the status takes of a client's room for metadata: the message, and the details in Base64."""
    status = to_status(from_exception(error))
    return len(status.details) + sum(len(value) * 4 // 3 for _, value in status.trailing_metadata)


@pytest.mark.parametrize("error", ALL)
def test_a_reason_stands_for_its_error(error: type[errors.LoopbenchServerError]) -> None:
    assert errors.from_reason(error.reason) is error


def test_an_unknown_reason_is_a_failed_run() -> None:
    assert errors.from_reason("OF_A_NEWER_SERVER") is errors.RunFailedError
