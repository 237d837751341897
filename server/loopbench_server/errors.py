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
    """The request violates the contract.

    ``violations`` names every bad field.
    """

    reason = "INVALID_FIELDS"
    hint = "Correct the named fields."

    def __init__(self, message: str, violations: tuple[Violation, ...] = (), **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.violations = violations


class RunNotFoundError(LoopbenchServerError):
    """No run has this id, or matches the specification."""

    reason = "RUN_NOT_FOUND"
    hint = "List the existing runs: loopbench runs, or ListRuns."


class RequestConflictError(LoopbenchServerError):
    """The request_id was used with another spec."""

    reason = "REQUEST_ID_REUSED"
    hint = "Use a new request_id for every new specification."


class QueueFullError(LoopbenchServerError):
    """The queue has no room for another run."""

    reason = "QUEUE_FULL"
    hint = "Retry when a run has ended."
    retryable = True


class CallerLimitError(LoopbenchServerError):
    """The caller has as many unfinished runs as one caller may have."""

    reason = "CALLER_LIMIT"
    hint = "Retry when one of your runs has ended."
    retryable = True


class TooManyCallsError(LoopbenchServerError):
    """The server holds the maximum number of calls of this kind, of one caller or in total."""

    reason = "TOO_MANY_CALLS"
    hint = "Retry when other calls have ended; make fewer concurrent calls."
    retryable = True


class MessageTimeoutError(LoopbenchServerError):
    """The call's first message did not arrive in time."""

    reason = "MESSAGE_TIMEOUT"
    hint = "Send the request as soon as the call begins."
    retryable = True


class DrainingError(LoopbenchServerError):
    """The server is shutting down."""

    reason = "SERVER_DRAINING"
    hint = "Retry on this server once it is back, or on another one; Train with the same request_id."
    retryable = True


class NotReadyError(LoopbenchServerError):
    """No worker process can be started."""

    reason = "TRAINING_PROCESS_UNAVAILABLE"
    hint = "The server's log has the cause. Retry with the same request_id."
    retryable = True


class RunNotEndedError(LoopbenchServerError):
    """The run is queued or running."""

    reason = "RUN_NOT_ENDED"
    hint = "Cancel the run first, or wait until it has ended."


class RunWithoutResultError(LoopbenchServerError):
    """A run of the comparison has no result."""

    reason = "RUN_WITHOUT_RESULT"
    hint = "Compare only runs that SUCCEEDED."


class WeightsNotStoredError(LoopbenchServerError):
    """The run has no final weights, or they have been deleted."""

    reason = "WEIGHTS_NOT_STORED"
    hint = "Only runs that SUCCEEDED have weights, until these are deleted. Repeating the run gives the same weights."


class WeightsCorruptError(LoopbenchServerError):
    """The stored weights differ from the run's final weights."""

    reason = "WEIGHTS_CORRUPT"
    hint = "Restore the database from a backup, or delete the run and repeat it, which gives the same weights."


class TimeExceededError(LoopbenchServerError):
    """The run's process exceeded the time limit."""

    reason = "TIME_EXCEEDED"
    hint = "Train fewer epochs, use GRAPH or XLA, or start the server with more --run-seconds."


class MemoryExceededError(LoopbenchServerError):
    """The run's process exceeded the memory limit."""

    reason = "MEMORY_EXCEEDED"
    hint = "Use smaller batches, or start the server with more --run-megabytes."


class DeviceNotAvailableError(LoopbenchServerError):
    """The run needs a GPU that the server does not have."""

    reason = "DEVICE_NOT_AVAILABLE"
    hint = "List the devices of the server: loopbench info, or GetServerInfo. AUTO uses a GPU only if there is one."


class ExecutionNotAvailableError(LoopbenchServerError):
    """TensorFlow or Keras would execute the steps in another way than the spec requires."""

    reason = "EXECUTION_NOT_AVAILABLE"
    hint = "Use another execution or another method; the message has the reason."


class DatasetNotAvailableError(LoopbenchServerError):
    """The dataset was not found and could not be downloaded."""

    reason = "DATASET_NOT_AVAILABLE"
    hint = "Put mnist.npz into the folder that LOOPBENCH_DATA_DIR names, or train on DIGITS, which needs no download."


class DatasetCorruptError(LoopbenchServerError):
    """The dataset's file has unexpected contents."""

    reason = "DATASET_CORRUPT"
    hint = "Replace the file with the original."


class TensorBoardNotWritableError(LoopbenchServerError):
    """The server cannot write the TensorBoard logs."""

    reason = "TENSORBOARD_NOT_WRITABLE"
    hint = "Start the server with a writable --tensorboard-dir."


class TensorBoardFullError(LoopbenchServerError):
    """The file system of the TensorBoard logs is full."""

    reason = "TENSORBOARD_FULL"
    hint = "Free space or inodes below --tensorboard-dir, then retry with the same request_id."
    retryable = True


class TemporaryFolderError(LoopbenchServerError):
    """The server's temporary folder does not accept files."""

    reason = "TEMPORARY_FOLDER_NOT_WRITABLE"
    hint = "Free space or inodes in the server's temporary folder (TMPDIR), then retry with the same request_id."
    retryable = True


class RunCancelledError(LoopbenchServerError):
    """The run was cancelled while its caller waited."""

    reason = "RUN_CANCELLED"
    hint = "Submit the run again with a new request_id."


class RunFailedError(LoopbenchServerError):
    """The run ended without a result."""

    reason = "RUN_FAILED"
    hint = "See the details of the run (loopbench show, or GetRun) and the server's log."


class CallerGoneError(LoopbenchServerError):
    """The run was cancelled because the caller that waited for it disconnected."""

    reason = "CALLER_GONE"
    hint = "Retry with the same request_id, or train detached."
    retryable = True


class StoreFailedError(LoopbenchServerError):
    """The database failed."""

    reason = "STORE_FAILED"
    hint = "The server's log has the database's error. Retry with the same request_id once the database works."
    retryable = True


class StoreReplacedError(StoreFailedError):
    """The database file was deleted or replaced while the server ran."""

    reason = "STORE_REPLACED"
    hint = "Restore the file or restart the server, then retry with the same request_id."


class StoreCorruptError(StoreFailedError):
    """The database has unreadable pages."""

    reason = "STORE_CORRUPT"
    hint = "Stop the server and restore the database from a backup."
    retryable = False


class RunUnreadableError(LoopbenchServerError):
    """The run is stored in a form that this server does not know."""

    reason = "RUN_UNREADABLE"
    hint = "Use a server of the version that stored the run."


class ServerLostError(LoopbenchServerError):
    """The server that worked on the run vanished before the run ended."""

    reason = "SERVER_LOST"
    hint = "Retry with the same request_id."
    retryable = True


class WorkerLostError(LoopbenchServerError):
    """The run's process ended without a result."""

    reason = "WORKER_LOST"
    hint = "Retry with the same request_id; if it recurs, the logs of the server and the kernel name the cause."
    retryable = True


class UnauthenticatedError(LoopbenchServerError):
    """The call carries no token that this server knows."""

    reason = "UNAUTHENTICATED"
    hint = "Pass your token for this server in LOOPBENCH_TOKEN or with --token-file."


class RoleMissingError(LoopbenchServerError):
    """The call's token lacks the required role."""

    reason = "ROLE_MISSING"
    hint = "Ask the operator of the server for a token with that role; loopbench-token makes one."


class InternalError(LoopbenchServerError):
    """The server failed unexpectedly."""

    reason = "INTERNAL"
    hint = "The server's log has the details. Please report them: this is a bug in loopbench."


def subclasses(base: type[LoopbenchServerError] = LoopbenchServerError) -> list[type[LoopbenchServerError]]:
    """Return every error class below ``base``."""
    return [error for child in base.__subclasses__() for error in (child, *subclasses(child))]


def from_reason(reason: str) -> type[LoopbenchServerError]:
    """Return the error class of a stored reason; an unknown reason counts as a failed run."""
    return next((error for error in subclasses() if error.reason == reason), RunFailedError)
