"""The flags that choose runs, for every command that takes several."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from loopbench.spec import Dataset, InvalidFieldsError, Loss, Method, RunFilter, RunState, Violation
from loopbench_client.cli.options import bad_input, enum_option, validated
from loopbench_client.cli.run_flags import OptimizerKind

PANEL = "To choose runs"
AGAIN = "May be given again."
AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
NO_TIME = "is neither a time such as 2026-11-27T10:00 nor an age such as 30min, 12h or 7d"
NO_LABEL = "is not of the form KEY=VALUE"


def parse_labels(texts: Iterable[str], flag: str = "--label") -> dict[str, str]:
    """``KEY=VALUE`` of several flags.

    Raises:
        InvalidSpecError: naming every text that is not of this form, and every key that is given twice.
    """
    labels: dict[str, str] = {}
    faults = []
    for text in texts:
        key, equals, value = text.partition("=")
        fault = NO_LABEL if not (equals and key) else "is given twice" if key in labels else ""
        faults += [Violation(field=f"{flag} {text}", description=fault)] if fault else []
        labels[key] = value
    if faults:
        raise bad_input(InvalidFieldsError(tuple(faults)))
    return labels


def parse_time(text: str | None, flag: str) -> datetime | None:
    """A point in time, or the one that is so long ago. Without a zone it is in that of this machine.

    Raises:
        InvalidSpecError: the text is neither.
    """
    if text is None:
        return None
    try:
        if ago := AGO.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: float(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_input(InvalidFieldsError((Violation(field=flag, description=f"{text!r} {NO_TIME}"),))) from None


def _text(help_: str, metavar: str) -> Any:
    return typer.Option(metavar=metavar, help=help_, show_default=False, rich_help_panel=PANEL)


def _choice(kind: Any, noun: str) -> Any:
    option = enum_option(kind, f"Runs {noun}. {AGAIN}")
    option.rich_help_panel = PANEL
    return Annotated[list[kind] | None, option]


FLAGS: dict[str, Any] = {
    "name": Annotated[list[str] | None, _text(f"Runs of this name. {AGAIN}", "NAME")],
    "label": Annotated[list[str] | None, _text(f"Runs with this label. {AGAIN} All have to match.", "KEY=VALUE")],
    "state": _choice(RunState, "in this state"),
    "method": _choice(Method, "of this method"),
    "loss": _choice(Loss, "of this loss"),
    "dataset": _choice(Dataset, "on this dataset"),
    "optimizer": _choice(OptimizerKind, "with this optimizer"),
    "seed": Annotated[list[int] | None, _text(f"Runs with this seed. {AGAIN}", "NUMBER")],
    "created_after": Annotated[str | None, _text("Runs since this time, or of this age at most.", "TIME|AGE")],
    "created_before": Annotated[str | None, _text("Runs before this time, or of this age at least.", "TIME|AGE")],
}
PARAMETERS = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=None)
    for name, kind in FLAGS.items()
)


def _filter(given: dict[str, Any]) -> RunFilter:
    values = {
        "names": given["name"] or (),
        "labels": parse_labels(given["label"] or ()),
        "states": given["state"] or (),
        "methods": given["method"] or (),
        "losses": given["loss"] or (),
        "datasets": given["dataset"] or (),
        "optimizers": [kind.lower() for kind in given["optimizer"] or ()],
        "seeds": given["seed"] or (),
        "created_after": parse_time(given["created_after"], "--created-after"),
        "created_before": parse_time(given["created_before"], "--created-before"),
    }
    return validated(RunFilter, values)


def takes_run_filter(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the flags to a command, whose first parameter gets the filter."""
    _, *own = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        given = {parameter.name: arguments.pop(parameter.name) for parameter in PARAMETERS}
        command(_filter(given), **arguments)

    # Typer reads a command's options off its signature.
    with_flags.__signature__ = inspect.Signature([*own, *PARAMETERS])  # type: ignore[attr-defined]  # unknown to mypy
    return with_flags
