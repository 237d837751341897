"""Text of the command line that the locale could not decode."""

import functools
import inspect
import os
import re
from collections.abc import Callable
from typing import Any, get_args

from typer.models import ArgumentInfo

from loopbench.spec import InvalidFieldsError, Violation
from loopbench.text import kebab
from loopbench_client.cli.options import bad_input

SURROGATE = re.compile("[\ud800-\udfff]")
NOT_TEXT = "is not UTF-8"


def takes_text(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command its texts in UTF-8, whatever the locale, and refuses others by their flags.

    Python keeps a byte that it cannot decode as a lone surrogate, which no message can hold. Paths stay as they are.
    """
    parameters = inspect.signature(command).parameters

    @functools.wraps(command)
    def with_text(**arguments: Any) -> None:
        faults: list[Violation] = []
        texts = {name: _decoded(value, _place(parameters[name]), faults) for name, value in arguments.items()}
        if faults:
            raise bad_input(InvalidFieldsError(tuple(faults)))
        command(**texts)

    return with_text


def _place(parameter: inspect.Parameter) -> str:
    """The flag or the argument as the help names it."""
    for option in get_args(parameter.annotation)[1:]:
        if isinstance(option, ArgumentInfo):
            # The metavar of another argument is an example.
            return str(option.metavar) if (option.metavar or "").isidentifier() else parameter.name.upper()
    return f"--{kebab(parameter.name)}"


def _decoded(value: Any, place: str, faults: list[Violation]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, place, faults) for item in value]
    if not isinstance(value, str) or not SURROGATE.search(value):
        return value
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        faults.append(Violation(field=place, description=NOT_TEXT))
        return value
