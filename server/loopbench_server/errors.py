"""What can go wrong, in the domain's own words. How each appears to a caller is a table in :mod:`.status`.

LoopbenchServerError
├── InvalidFieldsError            (loopbench.spec) input that breaks the contract
├── RunNotFoundError              no such run
├── RequestConflictError          a request_id used with another spec
├── QueueFullError                no room for another waiting run
├── DrainingError                 the server is shutting down
├── NotReadyError                 the training process does not start
├── RunNotEndedError              deletion of a run that goes on
├── RunWithoutResultError         comparison of a run that did not succeed
├── RunElsewhereError             cancellation of a run that another server works on
├── WeightsNotStoredError         evaluation of a run that did not succeed
├── DeviceNotAvailableError       a GPU asked for and absent
├── DatasetNotAvailableError      not found, and not to be downloaded
├── DatasetCorruptError           found, with other contents than it should have
├── TensorBoardNotWritableError   logs asked for where the server may write none
├── RunCancelledError             the run was cancelled while its caller waited
├── CallerGoneError               the run was cancelled because its caller went away
├── ServerLostError               the server that worked on the run ended before it
├── StoreFailedError              the database refused
├── WorkerLostError               the run's process was killed or crashed
├── UnauthenticatedError          no token, or one that is not known
├── RoleMissingError              a token that may not do this
└── RunFailedError                the run ended without a result, for a reason of its own
"""

from typing import ClassVar


class LoopbenchServerError(Exception):
    """Base: ``reason`` is stable and for machines, the message is for people, ``hint`` says what to do.

    ``metadata`` holds further facts for machines, such as the run's id.
    """

    reason: ClassVar[str]
    hint: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata


class RunNotFoundError(LoopbenchServerError):
    """No such run."""

    reason = "RUN_NOT_FOUND"
    hint = "ListRuns shows the runs there are."


class RequestConflictError(LoopbenchServerError):
    """The request_id was used with another spec."""

    reason = "REQUEST_ID_REUSED"
    hint = "Give every new specification a new request_id."


class QueueFullError(LoopbenchServerError):
    """No room for another waiting run."""

    reason = "QUEUE_FULL"
    hint = "Try again when a run has ended."
    retryable = True


class DrainingError(LoopbenchServerError):
    """The server is shutting down."""

    reason = "SERVER_DRAINING"
    hint = "Send the same request_id again, to this server once it is back or to another."
    retryable = True


class NotReadyError(LoopbenchServerError):
    """The process that trains cannot be started."""

    reason = "TRAINING_PROCESS_UNAVAILABLE"
    hint = "The server's log says why the training process does not start."
    retryable = True


class RunNotEndedError(LoopbenchServerError):
    """The run is queued or running."""

    reason = "RUN_NOT_ENDED"
    hint = "Cancel the run first, or wait for its end."


class RunWithoutResultError(LoopbenchServerError):
    """A run that is to be compared has no result."""

    reason = "RUN_WITHOUT_RESULT"
    hint = "Only runs that SUCCEEDED can be compared."


class RunElsewhereError(LoopbenchServerError):
    """Another server works on the run."""

    reason = "RUN_ELSEWHERE"
    hint = "Ask the server that took the run in."


class WeightsNotStoredError(LoopbenchServerError):
    """The run has no final weights."""

    reason = "WEIGHTS_NOT_STORED"
    hint = "Only a run that SUCCEEDED can be evaluated."


class DeviceNotAvailableError(LoopbenchServerError):
    """A GPU was asked for where there is none."""

    reason = "DEVICE_NOT_AVAILABLE"
    hint = "GetServerInfo lists the devices; AUTO takes a GPU only where there is one."


class DatasetNotAvailableError(LoopbenchServerError):
    """The dataset was not found and could not be downloaded."""

    reason = "DATASET_NOT_AVAILABLE"
    hint = "Put mnist.npz into the folder that LOOPBENCH_DATA_DIR names, or train on DIGITS, which needs no download."


class DatasetCorruptError(LoopbenchServerError):
    """The dataset's file does not hold what it should."""

    reason = "DATASET_CORRUPT"
    hint = "Replace the file with the original."


class TensorBoardNotWritableError(LoopbenchServerError):
    """TensorBoard logs were asked for, and the server cannot write any."""

    reason = "TENSORBOARD_NOT_WRITABLE"
    hint = "Start the server with a --tensorboard-dir that it may write to."


class RunCancelledError(LoopbenchServerError):
    """The run was cancelled while its caller waited."""

    reason = "RUN_CANCELLED"
    hint = "Start the run again with a new request_id."


class RunFailedError(LoopbenchServerError):
    """The run ended without a result."""

    reason = "RUN_FAILED"
    hint = "GetRun and the server's log have the details."


class CallerGoneError(LoopbenchServerError):
    """The run was cancelled because the caller that waited for it went away."""

    reason = "CALLER_GONE"
    hint = "Send the same request_id again, or train detached."
    retryable = True


class StoreFailedError(LoopbenchServerError):
    """The database refused."""

    reason = "STORE_FAILED"
    hint = "The server's log says why the database refused. Send the same request_id again once that is mended."
    retryable = True


class ServerLostError(LoopbenchServerError):
    """The server that worked on the run ended before the run did."""

    reason = "SERVER_LOST"
    hint = "Send the same request_id again."
    retryable = True


class WorkerLostError(LoopbenchServerError):
    """The run's process ended without an answer."""

    reason = "WORKER_LOST"
    hint = (
        "Send the same request_id again; if it recurs, the server's log and the kernel's say what killed the process."
    )
    retryable = True


class UnauthenticatedError(LoopbenchServerError):
    """The call carries no token that is known here."""

    reason = "UNAUTHENTICATED"
    hint = "Give the token that you have for this server as LOOPBENCH_TOKEN or by --token-file."


class RoleMissingError(LoopbenchServerError):
    """The call's token may not do this."""

    reason = "ROLE_MISSING"
    hint = "Ask whoever runs the server for a token with that role; loopbench-token makes one."


def subclasses(base: type[LoopbenchServerError] = LoopbenchServerError) -> list[type[LoopbenchServerError]]:
    """Every error of the tree."""
    return [error for child in base.__subclasses__() for error in (child, *subclasses(child))]


def from_reason(reason: str) -> type[LoopbenchServerError]:
    """The error that a stored reason stands for; a reason of another version is a failed run."""
    return next((error for error in subclasses() if error.reason == reason), RunFailedError)
