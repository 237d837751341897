"""Maps the errors of :mod:`loopbench_server.errors` to gRPC statuses with google.rpc details."""

from itertools import accumulate, takewhile
from string import ascii_letters, digits, punctuation
from urllib.parse import quote

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from loopbench.spec import InvalidFieldsError, Violation
from loopbench_server.errors import (
    CallerGoneError,
    CallerLimitError,
    DatasetCorruptError,
    DatasetNotAvailableError,
    DeviceNotAvailableError,
    DrainingError,
    ExecutionNotAvailableError,
    InternalError,
    InvalidRequestError,
    LoopbenchServerError,
    MemoryExceededError,
    MessageTimeoutError,
    NotReadyError,
    QueueFullError,
    RequestConflictError,
    RoleMissingError,
    RunCancelledError,
    RunFailedError,
    RunNotEndedError,
    RunNotFoundError,
    RunUnreadableError,
    RunWithoutResultError,
    ServerLostError,
    StoreCorruptError,
    StoreFailedError,
    StoreReplacedError,
    TemporaryFolderError,
    TensorBoardFullError,
    TensorBoardNotWritableError,
    TimeExceededError,
    TooManyCallsError,
    UnauthenticatedError,
    WeightsCorruptError,
    WeightsNotStoredError,
    WorkerLostError,
)

STATUSES: dict[type[LoopbenchServerError], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    RunNotFoundError: grpc.StatusCode.NOT_FOUND,
    RequestConflictError: grpc.StatusCode.ALREADY_EXISTS,
    QueueFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    CallerLimitError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooManyCallsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    MessageTimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
    DrainingError: grpc.StatusCode.UNAVAILABLE,
    NotReadyError: grpc.StatusCode.UNAVAILABLE,
    RunNotEndedError: grpc.StatusCode.FAILED_PRECONDITION,
    RunWithoutResultError: grpc.StatusCode.FAILED_PRECONDITION,
    WeightsNotStoredError: grpc.StatusCode.FAILED_PRECONDITION,
    WeightsCorruptError: grpc.StatusCode.DATA_LOSS,
    TimeExceededError: grpc.StatusCode.ABORTED,
    MemoryExceededError: grpc.StatusCode.ABORTED,
    DeviceNotAvailableError: grpc.StatusCode.FAILED_PRECONDITION,
    ExecutionNotAvailableError: grpc.StatusCode.FAILED_PRECONDITION,
    DatasetNotAvailableError: grpc.StatusCode.FAILED_PRECONDITION,
    DatasetCorruptError: grpc.StatusCode.FAILED_PRECONDITION,
    TensorBoardNotWritableError: grpc.StatusCode.FAILED_PRECONDITION,
    TensorBoardFullError: grpc.StatusCode.ABORTED,
    TemporaryFolderError: grpc.StatusCode.ABORTED,
    RunCancelledError: grpc.StatusCode.ABORTED,
    RunFailedError: grpc.StatusCode.ABORTED,
    CallerGoneError: grpc.StatusCode.ABORTED,
    StoreFailedError: grpc.StatusCode.UNAVAILABLE,
    StoreReplacedError: grpc.StatusCode.UNAVAILABLE,
    StoreCorruptError: grpc.StatusCode.DATA_LOSS,
    RunUnreadableError: grpc.StatusCode.FAILED_PRECONDITION,
    ServerLostError: grpc.StatusCode.UNAVAILABLE,
    WorkerLostError: grpc.StatusCode.ABORTED,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    RoleMissingError: grpc.StatusCode.PERMISSION_DENIED,
    InternalError: grpc.StatusCode.INTERNAL,
}

DOMAIN = "loopbench"
RETRY_SECONDS = 5

# gRPC clients accept 8 KiB of metadata with a status. It contains the message twice, and all but the first in Base64.
MAX_MESSAGE_BYTES, MAX_DETAILS_BYTES = 1_000, 3_800
# Part of the message for violations; the rest is for the number of omitted ones.
MAX_VIOLATIONS_BYTES = 950
# Characters between violations, in the message as in the details.
PUNCTUATION = 6
# End of a cut text.
ELLIPSIS = "..."
# gRPC sends these characters unchanged, and three characters for each byte of others.
UNESCAPED = (ascii_letters + digits + punctuation + " ").replace("%", "")


def from_exception(error: Exception) -> LoopbenchServerError:
    """Return the domain error for ``error``; callers learn nothing else about an unexpected exception."""
    if isinstance(error, LoopbenchServerError):
        return error
    if isinstance(error, InvalidFieldsError):
        return InvalidRequestError(str(error), error.violations)
    return InternalError("internal error; the server's log has the details")


def _take_fitting(violations: tuple[Violation, ...], room: int) -> tuple[Violation, ...]:
    """Return as many of the first violations as fit."""
    used = accumulate(len(violation.field) + len(violation.description) + PUNCTUATION for violation in violations)
    return violations[: max(1, sum(1 for _ in takewhile(lambda total: total <= room, used)))]


def _cut(text: str, room: int) -> str:
    """Return the longest beginning that fits, in the form in which gRPC sends it."""
    text = text.encode(errors="replace").decode()
    used = accumulate(len(quote(character, safe=UNESCAPED)) for character in text[:room])
    fits = sum(1 for _ in takewhile(lambda total: total <= room - len(ELLIPSIS), used))
    return text if len(text) <= fits else text[:fits] + ELLIPSIS


def _message(error: LoopbenchServerError) -> str:
    if not isinstance(error, InvalidRequestError) or not error.violations:
        return str(error)
    fitting = _take_fitting(error.violations, MAX_VIOLATIONS_BYTES)
    more = len(error.violations) - len(fitting)
    return f"{InvalidFieldsError(fitting)}" + (f"; and {more:,} more" if more else "")


def _details(error: LoopbenchServerError) -> list[Message]:
    metadata = {**error.metadata, "hint": error.hint, "retryable": str(error.retryable).lower()}
    details: list[Message] = [ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if isinstance(error, InvalidRequestError):
        violations = [
            BadRequest.FieldViolation(field=violation.field, description=_cut(violation.description, MAX_DETAILS_BYTES))
            for violation in _take_fitting(error.violations, MAX_DETAILS_BYTES)
        ]
        details.insert(0, BadRequest(field_violations=violations))
    if error.retryable:
        details.append(RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
    return details


def to_status(error: LoopbenchServerError) -> grpc.Status:
    """Return the status that a caller receives for ``error``."""
    packed = []
    for detail in _details(error):
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    code, _ = STATUSES[type(error)].value
    return rpc_status.to_status(Status(code=code, message=_cut(_message(error), MAX_MESSAGE_BYTES), details=packed))
