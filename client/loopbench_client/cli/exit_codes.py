"""Exit codes.

====  ==================================================================
code  meaning
====  ==================================================================
0     success
1     the run failed or was cancelled, or the server erred
2     bad input: usage, or a value that the server refuses
3     the server cannot be reached, is not ready or did not start
4     not found
5     refused now: queue full, precondition, conflict
6     unsupported by this server
7     deadline exceeded
8     a comparison did not meet --require
9     no access: token, role or TLS
10    the output cannot be written
130   interrupted
====  ==================================================================
"""

from enum import IntEnum

from loopbench import streams
from loopbench_client import errors


class ExitCode(IntEnum):
    """Exit code of a command."""

    SUCCESS = 0
    RUN_FAILED = 1
    BAD_INPUT = 2
    UNAVAILABLE = 3
    NOT_FOUND = 4
    REFUSED = 5
    UNSUPPORTED = 6
    DEADLINE = 7
    NOT_MET = 8
    NO_ACCESS = 9
    OUTPUT_LOST = streams.OUTPUT_LOST
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.SUCCESS: "success",
    ExitCode.RUN_FAILED: "the run failed or was cancelled, or the server erred",
    ExitCode.BAD_INPUT: "bad input: usage, or a value that the server refuses",
    ExitCode.UNAVAILABLE: "the server cannot be reached, is not ready or did not start",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.REFUSED: "refused now: queue full, precondition, conflict",
    ExitCode.UNSUPPORTED: "unsupported by this server",
    ExitCode.DEADLINE: "deadline exceeded",
    ExitCode.NOT_MET: "a comparison did not meet --require",
    ExitCode.NO_ACCESS: "no access: token, role or TLS",
    ExitCode.OUTPUT_LOST: "the output cannot be written",
    ExitCode.INTERRUPTED: "interrupted",
}

EXIT_CODES: dict[type[errors.LoopbenchError], ExitCode] = {
    errors.LoopbenchError: ExitCode.RUN_FAILED,
    errors.InvalidSpecError: ExitCode.BAD_INPUT,
    errors.NotFoundError: ExitCode.NOT_FOUND,
    errors.AlreadyExistsError: ExitCode.REFUSED,
    errors.QueueFullError: ExitCode.REFUSED,
    errors.TooMuchError: ExitCode.REFUSED,
    errors.PreconditionError: ExitCode.REFUSED,
    errors.RunEndedError: ExitCode.RUN_FAILED,
    errors.RunFailedError: ExitCode.RUN_FAILED,
    errors.RunCancelledError: ExitCode.RUN_FAILED,
    errors.AccessError: ExitCode.NO_ACCESS,
    errors.UnauthenticatedError: ExitCode.NO_ACCESS,
    errors.PermissionDeniedError: ExitCode.NO_ACCESS,
    errors.TlsError: ExitCode.NO_ACCESS,
    errors.ServerUnavailableError: ExitCode.UNAVAILABLE,
    errors.EmbeddedServerError: ExitCode.UNAVAILABLE,
    errors.DeadlineError: ExitCode.DEADLINE,
    errors.UnsupportedError: ExitCode.UNSUPPORTED,
    errors.OutputError: ExitCode.OUTPUT_LOST,
    errors.ServerError: ExitCode.RUN_FAILED,
}

EPILOG = "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()) + "."
