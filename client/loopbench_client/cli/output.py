"""Where and how things are printed: answers on stdout, everything else on stderr."""

import json
import os
from typing import Any

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console

# Columns for a table that goes to a file or a pipe, where there is no edge to wrap at.
PIPE_WIDTH = 240


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
    """Stderr, as it is at this moment."""
    return _console(stderr=True)


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
