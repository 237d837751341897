"""The flags for access to the server that --server names."""

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from loopbench_client.access import VARIABLES, Access, token_variable

HELP: dict[str, str] = {
    "token_file": "File with your token; wins over the environment variable LOOPBENCH_TOKEN.",  # nosec B105  # a text
    "tls": "Talk to the server by TLS; the other flags of TLS imply it.",
    "tls_ca": "PEM file with the CA that signed the server's certificate; default: the system's.",
    "tls_client_certificate": "PEM file with your own certificate, for a server that asks for one.",
    "tls_client_key": "PEM file with its key.",
}
PANEL = "Access to the server"

_given: ContextVar[Mapping[str, Any]] = ContextVar("flags about access")


def _parameter(name: str) -> inspect.Parameter:
    switch = name == "tls"
    # An explicit name, or typer would add --no-tls.
    names = ("--tls",) if switch else ()
    option = typer.Option(*names, help=HELP[name], envvar=VARIABLES[name], show_default=False, rich_help_panel=PANEL)
    kind = bool if switch else Path | None
    default = False if switch else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, option], default=default)


PARAMETERS = tuple(map(_parameter, VARIABLES))


def takes_access(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the flags to a command, which finds what they give by :func:`given_access`."""
    own = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        _given.set({parameter.name: arguments.pop(parameter.name) for parameter in PARAMETERS})
        command(**arguments)

    # Typer reads a command's options off its signature.
    with_flags.__signature__ = inspect.Signature([*own, *PARAMETERS])  # type: ignore[attr-defined]  # unknown to mypy
    return with_flags


def given_access() -> Access:
    """What the flags of the command that is running give, and the environment where there is no flag.

    Raises:
        AccessError: the file of the token cannot be read.
    """
    flags = {name: str(value) if value else None for name, value in _given.get().items()}
    return Access.given(flags | token_variable())
