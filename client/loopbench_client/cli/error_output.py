"""The one place where errors become words on stderr and an exit code."""

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import typer
from typer.core import TyperGroup

from loopbench_client.cli.exit_codes import EXIT_CODES, ExitCode
from loopbench_client.cli.help import write_help
from loopbench_client.cli.interrupts import terminated_as_interrupted
from loopbench_client.cli.output import err
from loopbench_client.cli.run_flags import flag_of
from loopbench_client.cli.waiting import retract_announcements
from loopbench_client.cli.wording import in_flags
from loopbench_client.errors import (
    DeadlineError,
    InvalidSpecError,
    LoopbenchError,
    PermissionDeniedError,
    QueueFullError,
    RunCancelledError,
    RunEndedError,
    RunFailedError,
    ServerError,
    ServerUnavailableError,
    UnauthenticatedError,
    UnsupportedError,
)

# What the server's own words do not say to somebody who did not make the call.
PREFACES: dict[type[LoopbenchError], str] = {
    DeadlineError: "no answer in time: ",
    PermissionDeniedError: "not allowed: ",
    RunCancelledError: "the run was cancelled: ",
    RunFailedError: "the run failed: ",
    ServerError: "the server erred: ",
    ServerUnavailableError: "the server is not available: ",
    UnauthenticatedError: "access denied: ",
    UnsupportedError: "this server does not support it: ",
}


INVALID = "some values are not valid"

_line: ContextVar[str] = ContextVar("command line")


def command_line() -> str:
    """The command that is running, as it was given to the shell."""
    return _line.get()


def print_error(error: LoopbenchError) -> None:
    """What went wrong, every bad value by its flag, and what to do about it."""
    console = err()
    violations = error.violations if isinstance(error, InvalidSpecError) else ()
    # The message of a server repeats the first of them, by the names of the contract.
    message = INVALID if violations and violations[0].description in error.message else error.message
    console.print(f"error: {PREFACES.get(type(error), '')}{message}", soft_wrap=True)
    for violation in violations:
        console.print(f"  {flag_of(violation.field)}: {in_flags(violation.description)}", soft_wrap=True)
    if isinstance(error, RunEndedError) and error.run_id:
        console.print(f"  run {error.run_id}, reason {error.reason}", soft_wrap=True)
    if isinstance(error, QueueFullError) and error.retry_delay is not None:
        console.print(f"  try again in {error.retry_delay:g} s", soft_wrap=True)
    if error.hint:
        console.print(f"hint: {in_flags(error.hint)}", soft_wrap=True)


class _Warnings(logging.Handler):
    """Prints what the client warns of: a lost server, and until when it is waited for."""

    def emit(self, record: logging.LogRecord) -> None:
        retract_announcements()
        err().print(record.getMessage(), soft_wrap=True)


def print_warnings() -> None:
    """Prints the warnings of the client from now on; a second call has no effect."""
    logger = logging.getLogger("loopbench_client")
    if not any(isinstance(handler, _Warnings) for handler in logger.handlers):
        logger.addHandler(_Warnings())


@contextmanager
def _lost_output() -> Iterator[None]:
    """Ends the command with its exit code where nobody reads the output; Typer would exit with 1."""
    try:
        yield
    except BrokenPipeError as error:
        raise typer.Exit(ExitCode.OUTPUT_LOST) from error


class CommandGroup(TyperGroup):
    """Runs the commands; a user's mistake or an absent server never ends in a traceback."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Remembers the command line, so that a message can say how to repeat it."""
        words = [info_name or "", *args]
        _line.set(shlex.join(words))
        with _lost_output():
            return super().make_context(info_name, args, *rest, **extra)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help text of the whole."""
        write_help(self, ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was named."""
        print_warnings()
        try:
            with terminated_as_interrupted(), _lost_output():
                return super().invoke(ctx)
        except LoopbenchError as error:
            print_error(error)
            raise typer.Exit(EXIT_CODES[type(error)]) from error
        except (KeyboardInterrupt, typer.Abort) as error:  # Abort: at a question
            err().print("interrupted")
            raise typer.Exit(ExitCode.INTERRUPTED) from error
