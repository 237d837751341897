"""Each error as a gRPC status with its google.rpc details, in one table."""

from itertools import accumulate, takewhile

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from loopbench.spec import InvalidFieldsError, Violation
from loopbench_server import errors

DOMAIN = "loopbench"
RETRY_SECONDS = 5

# gRPC's clients take 8 KiB of metadata with a status, in which the message is twice, and all but the first in Base64.
MESSAGE_ROOM, DETAILS_ROOM = 1_000, 3_800
# What joins a violation to the next, in the message as in the details.
PUNCTUATION = 6

STATUS: dict[type[Exception], grpc.StatusCode] = {
    InvalidFieldsError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.RunNotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.RequestConflictError: grpc.StatusCode.ALREADY_EXISTS,
    errors.QueueFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DrainingError: grpc.StatusCode.UNAVAILABLE,
    errors.NotReadyError: grpc.StatusCode.UNAVAILABLE,
    errors.ServerLostError: grpc.StatusCode.UNAVAILABLE,
    errors.StoreFailedError: grpc.StatusCode.UNAVAILABLE,
    errors.WorkerLostError: grpc.StatusCode.ABORTED,
    errors.CallerGoneError: grpc.StatusCode.ABORTED,
    errors.RunCancelledError: grpc.StatusCode.ABORTED,
    errors.RunFailedError: grpc.StatusCode.ABORTED,
    errors.RunNotEndedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RunWithoutResultError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RunElsewhereError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.WeightsNotStoredError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.DeviceNotAvailableError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.DatasetNotAvailableError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.DatasetCorruptError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TensorBoardNotWritableError: grpc.StatusCode.FAILED_PRECONDITION,
}


def _fitting(violations: tuple[Violation, ...], room: int) -> tuple[Violation, ...]:
    """As many of the first as have room."""
    used = accumulate(len(violation.field) + len(violation.description) + PUNCTUATION for violation in violations)
    return violations[: max(1, sum(1 for _ in takewhile(lambda total: total <= room, used)))]


def _message(error: errors.LoopbenchServerError | InvalidFieldsError) -> str:
    if not isinstance(error, InvalidFieldsError):
        return str(error)
    told = _fitting(error.violations, MESSAGE_ROOM)
    more = len(error.violations) - len(told)
    return f"{InvalidFieldsError(told)}" + (f"; and {more:,} more" if more else "")


def _details(error: errors.LoopbenchServerError | InvalidFieldsError) -> list[Message]:
    if isinstance(error, InvalidFieldsError):
        violations = [
            BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in _fitting(error.violations, DETAILS_ROOM)
        ]
        return [BadRequest(field_violations=violations), ErrorInfo(reason="INVALID_FIELDS", domain=DOMAIN)]
    metadata = {**error.metadata, "hint": error.hint, "retryable": str(error.retryable).lower()}
    details: list[Message] = [ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if error.retryable:
        details.append(RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
    return details


def to_status(error: errors.LoopbenchServerError | InvalidFieldsError) -> grpc.Status:
    """The status that a caller receives for ``error``."""
    packed = []
    for detail in _details(error):
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    code, _ = STATUS[type(error)].value
    return rpc_status.to_status(Status(code=code, message=_message(error), details=packed))
