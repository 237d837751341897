"""Where and how things are printed: answers on stdout, everything else on stderr."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.status import Status

# Columns for a table that goes to a file or a pipe, where there is no edge to wrap at.
PIPE_WIDTH = 240

Display = TypeVar("Display", bound=Live | Progress | Status)
# The consoles of the live displays, the innermost last. Threads share them.
_displaying: list[Console] = []


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave the error to the streams, see :mod:`loopbench_client.cli.streams`; Rich would exit with 1."""
        raise  # noqa: PLE0704  Rich calls this in its handler of the error


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def out() -> Console:
    """Stdout, as it is at this moment."""
    return _console(stderr=False)


def err() -> Console:
    """Stderr, as it is at this moment; during a live display its console, which prints lines above the display."""
    return _displaying[-1] if _displaying else _console(stderr=True)


@contextmanager
def live(display: Display) -> Iterator[Display]:
    """Shows a live display on stderr during the block. Everything else goes through :func:`err` in the meantime."""
    _displaying.append(display.console)
    try:
        with display:
            yield display
    finally:
        _displaying.pop()


def print_json(message: Message, *, indent: int | None = 2, **more: Any) -> None:
    """A message in protobuf's JSON form, with the fields that hold their defaults; ``indent=None`` gives one line.

    ``more`` are fields that the message does not have.
    """
    typer.echo(json.dumps({**plain_fields(message), **more}, indent=indent))


def plain_fields(message: Message) -> dict[str, Any]:
    """A message in protobuf's JSON form, with the fields that hold their defaults."""
    fields: dict[str, Any] = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return fields


def percent(fraction: float) -> str:
    """An accuracy, 0 to 1, as people read it."""
    return f"{fraction:.2%}".replace("%", " %")
