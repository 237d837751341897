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
    """Details of the status by type."""
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
    # Its own row: an inherited row describes another error.
    assert {"reason", "hint", "__doc__"} <= vars(error).keys()
    assert error.hint.endswith(".")
    assert error.__doc__


def test_reasons_are_unique_and_in_upper_case() -> None:
    reasons = [error.reason for error in ALL]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch("[A-Z][A-Z0-9_]*[A-Z0-9]", reason) for reason in reasons)


def test_these_errors_are_retryable() -> None:
    assert {error.reason for error in ALL if error.retryable} == RETRYABLE


@pytest.mark.parametrize("error", ALL)
def test_a_status_has_reason_and_hint(error: type[errors.LoopbenchServerError]) -> None:
    status = to_status(error("why", run_id="a"))
    assert (status.code, status.details) == (STATUSES[error], "why")
    received = details(error("why", run_id="a"))
    retryable = error.reason in RETRYABLE
    assert (RetryInfo in received) is retryable
    info = received[ErrorInfo]
    assert (info.reason, info.domain) == (error.reason, "loopbench")
    assert info.metadata == {"hint": error.hint, "retryable": str(retryable).lower(), "run_id": "a"}
    if retryable:
        # Long enough for a lease to expire, short enough for a waiting caller.
        assert received[RetryInfo].retry_delay.ToSeconds() == 5


def test_a_status_names_every_bad_field() -> None:
    violations = (
        Violation(field="spec.epochs", description="too many"),
        Violation(field="request_id", description="no UUID"),
    )
    bad = from_exception(InvalidFieldsError(violations))
    status = to_status(bad)
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    assert status.details == "spec.epochs: too many; request_id: no UUID"
    received = details(bad)
    assert set(received) == {BadRequest, ErrorInfo}
    named = [(violation.field, violation.description) for violation in received[BadRequest].field_violations]
    assert named == [("spec.epochs", "too many"), ("request_id", "no UUID")]
    assert (received[ErrorInfo].reason, received[ErrorInfo].domain) == ("INVALID_FIELDS", "loopbench")


def test_an_internal_error_hides_its_message() -> None:
    received = from_exception(KeyError("secret"))
    assert received.reason == "INTERNAL"
    assert "secret" not in str(to_status(received))


def test_an_error_of_the_table_is_unchanged() -> None:
    full = errors.QueueFullError("no room")
    assert from_exception(full) is full


def test_a_status_holds_every_violation_of_two_specs() -> None:
    # 23 fields per spec; the descriptions are as long as those of enums.
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
    received = to_status(from_exception(bad)).details
    assert received.startswith("groups.0.label: is too long; groups.1.label: is too long; ")
    said, more = received.rsplit("; and ", 1)
    assert more == f"{100_000 - said.count('is too long'):,} more"
    assert metadata_bytes(bad) < 8_192


def metadata_bytes(error: Any) -> int:
    """Bytes of metadata that the status takes: the message, and the details in Base64."""
    status = to_status(from_exception(error))
    return len(status.details) + sum(len(value) * 4 // 3 for _, value in status.trailing_metadata)


@pytest.mark.parametrize("error", ALL)
def test_a_reason_maps_to_its_error(error: type[errors.LoopbenchServerError]) -> None:
    assert errors.from_reason(error.reason) is error


def test_an_unknown_reason_is_a_failed_run() -> None:
    assert errors.from_reason("OF_A_NEWER_SERVER") is errors.RunFailedError
