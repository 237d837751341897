"""Every error that the client raises.

::

    LoopbenchError                  message, reason, hint
    ├── InvalidSpecError            a field is wrong: violations
    ├── NotFoundError               no such run
    ├── AlreadyExistsError          the request_id was used with another spec
    ├── QueueFullError              try again: retry_delay
    ├── TooMuchError                gRPC refused the call: too large, or too many at once
    ├── PreconditionError           not in this state, or the device or the dataset is not there
    ├── RunEndedError               the run that was waited for ended without a result: run_id
    │   ├── RunFailedError
    │   └── RunCancelledError
    ├── AccessError                 the token cannot be used
    │   ├── UnauthenticatedError    the server does not know it, or asks for one
    │   ├── PermissionDeniedError   it may not do this
    │   └── TlsError                no TLS with this server, or none where a token needs it
    ├── ServerUnavailableError      nobody answers, or the server is not ready
    │   └── EmbeddedServerError     the embedded server did not start
    ├── DeadlineError               no answer in time
    ├── UnsupportedError            this server cannot do that
    ├── OutputError                 a file cannot be written
    └── ServerError                 the server erred, or gave an answer outside the contract
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from loopbench import spec


@dataclass(frozen=True)
class ErrorDetails:
    """What is known of a failure, from whichever side it was noticed."""

    message: str
    # Stable and upper case, for example RUN_CANCELLED; empty where there is none.
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[spec.Violation, ...] = ()
    # Seconds.
    retry_delay: float | None = None


class LoopbenchError(Exception):
    """The base of all errors.

    Attributes:
        message: what went wrong, for people.
        reason: the same for programs, stable and upper case; empty where the server gave none.
        hint: what to do about it; empty where nobody knows.
    """

    def __init__(self, details: ErrorDetails | str, *, hint: str = "") -> None:
        self.details = ErrorDetails(details) if isinstance(details, str) else details
        self.message = self.details.message
        self.reason = self.details.reason
        self.hint = hint or self.details.metadata.get("hint", "")
        super().__init__(self.message)


class InvalidSpecError(LoopbenchError):
    """Input that breaks the contract; ``violations`` and the message name every bad field."""

    @classmethod
    def of(cls, violations: tuple[spec.Violation, ...]) -> Self:
        """The error that the server would report."""
        return cls(ErrorDetails(str(spec.InvalidFieldsError(violations)), "INVALID_FIELDS", {}, violations))

    @property
    def violations(self) -> tuple[spec.Violation, ...]:
        """Every bad field by its path, for example ``spec.epochs``, and what is wrong with it."""
        return self.details.violations


class NotFoundError(LoopbenchError):
    """There is no such run."""


class AlreadyExistsError(LoopbenchError):
    """The request_id was used before, with another spec."""


class QueueFullError(LoopbenchError):
    """The server has no room for the run now."""

    @property
    def retry_delay(self) -> float | None:
        """Seconds after which to try again; None where the server does not say."""
        return self.details.retry_delay


class TooMuchError(LoopbenchError):
    """gRPC refused the call before the service saw it: its message is too large, or too many calls are under way."""


class PreconditionError(LoopbenchError):
    """The run is not in a state for this, or the device or the dataset is not there."""


class RunEndedError(LoopbenchError):
    """The run that was waited for ended without a result."""

    @property
    def run_id(self) -> str:
        """The run, which ``get`` still has."""
        return self.details.metadata.get("run_id", "")


class RunFailedError(RunEndedError):
    """The run failed; ``reason`` says why."""


class RunCancelledError(RunEndedError):
    """The run was cancelled by somebody else."""


class AccessError(LoopbenchError):
    """The client cannot show who it is."""


class UnauthenticatedError(AccessError):
    """The server wants a token, or another one."""


class PermissionDeniedError(AccessError):
    """The token may not do this."""


class TlsError(AccessError):
    """The TLS handshake with this server failed, or a token would be sent without TLS."""


class ServerUnavailableError(LoopbenchError):
    """Nobody answers at the address, or the server takes no runs now."""


class EmbeddedServerError(ServerUnavailableError):
    """The server that the client starts itself did not start, or ended."""


class DeadlineError(LoopbenchError):
    """No answer in time."""


class UnsupportedError(LoopbenchError):
    """This server cannot do that."""


class OutputError(LoopbenchError):
    """A file of results cannot be written."""


class ServerError(LoopbenchError):
    """The server erred, or gave an answer outside the contract."""
