"""Errors of the domain. :mod:`loopbench_server.rpc.error_mapping` maps them to gRPC statuses.

A new error takes a class with a ``reason`` and a ``hint`` in this module, a row in the table of statuses, and a section
in the template of ``docs/troubleshooting.md``. ``make docs`` writes the pages.
"""

from typing import ClassVar

from loopbench.spec import Violation


class StartError(Exception):
    """The program cannot start."""


class SettingError(StartError):
    """The program cannot start with these settings in this installation, however often it is started."""


class LoopbenchServerError(Exception):
    """Base class of the errors that callers receive. The first line of an error's docstring is its meaning in the docs.

    Attributes:
        reason: stable identifier for programs.
        hint: what to do, for people.
        retryable: whether the same request can succeed later.
        metadata: further facts for programs, such as the run's id.
    """

    reason: ClassVar[str]
    hint: ClassVar[str]
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata


class InvalidRequestError(LoopbenchServerError):
    """The request breaks the contract.

    ``violations`` names every bad field.
    """

    reason = "INVALID_FIELDS"
    hint = "Mend the fields that are named; the contract (the .proto files) says what each may hold."

    def __init__(self, message: str, violations: tuple[Violation, ...] = (), **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.violations = violations


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


class CallerLimitError(LoopbenchServerError):
    """The caller has as many unfinished runs as one may have."""

    reason = "CALLER_LIMIT"
    hint = "Try again when one of your runs has ended."
    retryable = True


class TooManyCallsError(LoopbenchServerError):
    """The server holds as many calls of this kind, of one caller or in all, as it may."""

    reason = "TOO_MANY_CALLS"
    hint = "Try again when other calls have ended; make fewer calls at once."
    retryable = True


class MessageTimeoutError(LoopbenchServerError):
    """The call's first message did not come in time."""

    reason = "MESSAGE_TIMEOUT"
    hint = "Send the request as soon as the call begins."
    retryable = True


class DrainingError(LoopbenchServerError):
    """The server is shutting down."""

    reason = "SERVER_DRAINING"
    hint = "Send the same request_id again, to this server once it is back or to another."
    retryable = True


class NotReadyError(LoopbenchServerError):
    """The process that trains cannot be started."""

    reason = "TRAINING_PROCESS_UNAVAILABLE"
    hint = "The server's log says why no training process starts. Send the same request_id again."
    retryable = True


class RunNotEndedError(LoopbenchServerError):
    """The run is queued or running."""

    reason = "RUN_NOT_ENDED"
    hint = "Cancel the run first, or wait for its end."


class RunWithoutResultError(LoopbenchServerError):
    """A run that is to be compared has no result."""

    reason = "RUN_WITHOUT_RESULT"
    hint = "Only runs that SUCCEEDED can be compared."


class WeightsNotStoredError(LoopbenchServerError):
    """The run has no final weights, or has them no longer."""

    reason = "WEIGHTS_NOT_STORED"
    hint = (
        "Only a run that SUCCEEDED has weights, for as long as the server keeps them. Training it again gives the same."
    )


class WeightsCorruptError(LoopbenchServerError):
    """The stored weights are not those that the run ended with."""

    reason = "WEIGHTS_CORRUPT"
    hint = "Restore the database from a backup, or delete the run and train it again, which gives the same weights."


class TimeExceededError(LoopbenchServerError):
    """The process ran for too long."""

    reason = "TIME_EXCEEDED"
    hint = "Train for fewer epochs, under GRAPH or XLA, or start the server with more --run-seconds."


class MemoryExceededError(LoopbenchServerError):
    """The process took too much memory."""

    reason = "MEMORY_EXCEEDED"
    hint = "Train in smaller batches, or start the server with more --run-megabytes."


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


class TensorBoardFullError(LoopbenchServerError):
    """The file system of the TensorBoard logs has no room."""

    reason = "TENSORBOARD_FULL"
    hint = "Free space or inodes below --tensorboard-dir, then send the same request_id again."
    retryable = True


class TemporaryFolderError(LoopbenchServerError):
    """The server's temporary folder takes no files."""

    reason = "TEMPORARY_FOLDER_NOT_WRITABLE"
    hint = "Free space or inodes in the server's temporary folder (TMPDIR), then send the same request_id again."
    retryable = True


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


class StoreReplacedError(StoreFailedError):
    """The database file was deleted or replaced under the server."""

    reason = "STORE_REPLACED"
    hint = "Put the file back or restart the server, then send the same request_id again."


class StoreCorruptError(StoreFailedError):
    """The database has pages that cannot be read."""

    reason = "STORE_CORRUPT"
    hint = "Stop the server and restore the database from a backup."
    retryable = False


class RunUnreadableError(LoopbenchServerError):
    """The run is stored in a form that this server does not know."""

    reason = "RUN_UNREADABLE"
    hint = "Ask a server of the version that stored the run, or replace this one by it."


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


class InternalError(LoopbenchServerError):
    """The server erred."""

    reason = "INTERNAL"
    hint = "The server's log has the details. Report them: this is a fault of loopbench."


def subclasses(base: type[LoopbenchServerError] = LoopbenchServerError) -> list[type[LoopbenchServerError]]:
    """Every error of the tree."""
    return [error for child in base.__subclasses__() for error in (child, *subclasses(child))]


def from_reason(reason: str) -> type[LoopbenchServerError]:
    """The error that a stored reason stands for; a reason of another version is a failed run."""
    return next((error for error in subclasses() if error.reason == reason), RunFailedError)
