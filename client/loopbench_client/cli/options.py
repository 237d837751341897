"""Options that several commands share, and enums spelled in kebab-case."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from loopbench.spec import InvalidFieldsError, violations_of
from loopbench.spelling import suggestion
from loopbench.text import kebab
from loopbench_client.errors import InvalidSpecError
from loopbench_client.targets import check_target

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T", bound=BaseModel)


def _checked_server(value: str | None) -> str | None:
    try:
        return None if value is None else check_target(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        envvar="LOOPBENCH_SERVER",
        callback=_checked_server,
        help="The server to use. Where none is named, one is started here for the time of the command.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer in protobuf's JSON form.")]
RunId = Annotated[
    str,
    typer.Argument(metavar="RUN_ID", help="The run's id, or its beginning from 4 characters on.", show_default=False),
]


def _parser(kind: type[E], choices: list[str]) -> Callable[[Any], E]:
    def parse(value: Any) -> E:
        try:
            return kind(str(value).upper().replace("-", "_"))
        except ValueError:
            end = suggestion(str(value), choices) or "."
            words = {"value": repr(value), "choices": ", ".join(choices), "end": end}
            raise PydanticCustomError("choice", "{value} is not one of {choices}{end}", words) from None

    return parse


def enum_option(kind: type[StrEnum], text: str, *flags: str, default: StrEnum | None = None) -> Any:
    """An option whose choices are the members of ``kind`` in kebab-case, completed by the shell.

    The help shows ``default`` spelled as they are.
    """
    choices = [kebab(member) for member in kind]
    return typer.Option(
        *flags,
        parser=_parser(kind, choices),
        metavar="CHOICE",
        autocompletion=lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)],
        show_default=kebab(default) if default is not None else False,
        help=f"{text} One of {', '.join(choices)}.",
    )


def bad_input(error: InvalidFieldsError) -> InvalidSpecError:
    """The same violations as the server would report."""
    return InvalidSpecError.of(error.violations)


def validated(model: type[T], values: Mapping[str, Any]) -> T:
    """``model`` made of ``values``.

    Raises:
        InvalidSpecError: naming every bad field.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise bad_input(InvalidFieldsError(violations_of(error.errors()))) from error
