"""The one boundary at which gRPC's errors become the client's."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from loopbench.spec import InvalidFieldsError, Violation
from loopbench_client import errors, other_peers
from loopbench_client.tls_errors import failed_handshake, hint_on, in_words

RUN_CANCELLED = "RUN_CANCELLED"

STATUS_ERRORS: dict[grpc.StatusCode, type[errors.LoopbenchError]] = {
    grpc.StatusCode.CANCELLED: errors.ServerError,
    grpc.StatusCode.UNKNOWN: errors.ServerError,
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidSpecError,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineError,
    grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExistsError,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TooMuchError,
    grpc.StatusCode.FAILED_PRECONDITION: errors.PreconditionError,
    grpc.StatusCode.ABORTED: errors.RunFailedError,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidSpecError,
    grpc.StatusCode.UNIMPLEMENTED: errors.UnsupportedError,
    grpc.StatusCode.INTERNAL: errors.ServerError,
    grpc.StatusCode.UNAVAILABLE: errors.ServerUnavailableError,
    grpc.StatusCode.DATA_LOSS: errors.ServerError,
    grpc.StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
}

OTHER_VERSION = "use the server's version of loopbench"

# gRPC's own text, such as "Stream removed (Deadline Exceeded)", and the same in words of its users.
DEADLINE_TEXT, DEADLINE_MESSAGE = "Deadline Exceeded", "the time limit of the call is over"

# What to do where the status is not the server's own word, but gRPC's, or that of something between here and there.
HINTS: dict[grpc.StatusCode, str] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "allow more time, or train detached: such a run goes on without its caller",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "ask for less at once, by a smaller request or fewer calls beside it",
    grpc.StatusCode.UNAVAILABLE: "check the address, and whether a server runs there (loopbench-server)",
    grpc.StatusCode.UNIMPLEMENTED: OTHER_VERSION,
}


def _status_details(call: Any) -> list[Message]:
    """The google.rpc messages that came with the status, those of an unknown type left out."""
    try:
        status = rpc_status.from_call(call)
    except (ValueError, DecodeError):  # It contradicts the plain one, which then is all there is to go by, or is none.
        status = None
    known = {
        kind.DESCRIPTOR.full_name: kind
        for kind in (error_details_pb2.BadRequest, error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo)
    }
    messages = []
    for packed in status.details if status else ():
        kind = known.get(packed.TypeName())
        if kind is not None:
            message = kind()
            with suppress(DecodeError):  # the code and the message still say what happened
                packed.Unpack(message)
                messages.append(message)
    return messages


def error_details(call: Any) -> errors.ErrorDetails:
    """All that a failed call says of its failure."""
    reason, metadata, retry_delay = "", dict[str, str](), None
    violations: list[Violation] = []
    for message in _status_details(call):
        if isinstance(message, error_details_pb2.ErrorInfo):
            reason, metadata = message.reason, dict(message.metadata)
        elif isinstance(message, error_details_pb2.RetryInfo):
            retry_delay = message.retry_delay.ToTimedelta().total_seconds()
        elif isinstance(message, error_details_pb2.BadRequest):
            violations += [Violation(field=v.field, description=v.description) for v in message.field_violations]
    text = call.details() or call.code().name
    return errors.ErrorDetails(text, reason, metadata, tuple(violations), retry_delay)


def to_error(call: Any) -> errors.LoopbenchError:
    """The client's error for a failed call (``grpc.RpcError`` with a code)."""
    details = error_details(call)
    kind, hint = STATUS_ERRORS[call.code()], ""
    # A server's own words have a reason, gRPC's have none.
    if not details.reason:
        details = replace(details, message=DEADLINE_MESSAGE) if DEADLINE_TEXT in details.message else details
        hint = HINTS.get(call.code(), "")
        if (answer := other_peers.answer_of_another(details.message)) and not issubclass(kind, errors.AccessError):
            return _other_peer(details, answer)
    if kind is errors.RunFailedError and details.reason == RUN_CANCELLED:
        kind = errors.RunCancelledError
    if kind is errors.TooMuchError and details.reason:  # the service's own word; gRPC refuses without one
        kind = errors.QueueFullError
    if kind is errors.ServerUnavailableError and not details.reason:
        return _not_connected(details)
    return kind(details, hint=hint)


def _other_peer(details: errors.ErrorDetails, answer: str) -> errors.LoopbenchError:
    """The error where a web server or a proxy has answered. A proxy that asks for a login has other statuses."""
    hint = f"{other_peers.HINT}; {hint_on(details.message)}".removesuffix("; ")
    message = f"no loopbench server answers there, but something else: {answer}"
    return errors.ServerUnavailableError(replace(details, message=message), hint=hint)


def _not_connected(details: errors.ErrorDetails) -> errors.LoopbenchError:
    trouble = failed_handshake(details.message)
    if trouble is None:
        hint = hint_on(details.message) or HINTS[grpc.StatusCode.UNAVAILABLE]
        return errors.ServerUnavailableError(replace(details, message=in_words(details.message)), hint=hint)
    return errors.TlsError(errors.ErrorDetails(trouble.meaning, "TLS"), hint=trouble.hint)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raises the client's errors in place of gRPC's, and for answers that the models refuse."""
    try:
        yield
    except grpc.RpcError as error:
        raise to_error(error) from error
    except InvalidFieldsError as error:
        details = errors.ErrorDetails(f"the server's answer is outside the contract: {error}", "INVALID_ANSWER")
        raise errors.ServerError(details, hint=OTHER_VERSION) from error
