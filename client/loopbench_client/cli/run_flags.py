"""A flag for every field of :class:`loopbench.spec.RunSpec`, drawn from the model itself."""

import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, get_args

import typer

from loopbench.spec import NETWORKS, OPTIMIZERS, VARIANTS, InvalidFieldsError, RunSpec, Violation
from loopbench.spelling import suggestion
from loopbench.text import kebab
from loopbench_client.cli.options import bad_input, enum_option, validated
from loopbench_client.errors import InvalidSpecError

HELP: dict[str, str] = {
    "method": "The way of writing the training loop.",
    "loss": "The loss that is minimised.",
    "optimizer": "The optimizer, with Keras's defaults.",
    "dataset": "The images to learn.",
    "epochs": "Passes over the training set.",
    "batch_size": "Samples in a batch.",
    "seed": "Initial weights and batch order follow from it.",
    "shuffle_buffer": "Samples in the shuffle buffer; 0 is the whole set.",
    "device": "Where to train.",
    "execution": "How TensorFlow executes a step.",
    "steps_per_execution": "Steps in one call of the compiled function; 0 leaves it to the server.",
    "replicas": "Devices that share every batch; for fit and custom-train-step.",
    "accuracy_metric": "What counts the accuracy that the loop reports.",
    "loss_aggregation": "Which loss an epoch reports.",
    "tensorboard": "Write TensorBoard logs on the server.",
    "network": "The network; by default the article's.",
}

# The fields that take several flags.
OptimizerKind = StrEnum("OptimizerKind", {name.upper(): name.upper() for name in OPTIMIZERS})  # type: ignore[misc]  # mypy wants literals
NetworkKind = StrEnum("NetworkKind", {name.upper(): name.upper() for name in NETWORKS})  # type: ignore[misc]  # as above
KINDS: dict[str, type[StrEnum]] = {"optimizer": OptimizerKind, "network": NetworkKind}
LEARNING_RATE = "learning_rate"


def _option_flag(text: str) -> Any:
    option = typer.Option(metavar="NAME=VALUE", help=f"{text} May be given again.", show_default=False)
    return Annotated[list[str] | None, option]


# Flags with other parameters, by their field.
OPTION_FLAGS: dict[str, str] = {field: f"{field}_option" for field in VARIANTS}
PARAMETER_FLAGS: dict[str, dict[str, Any]] = {
    "optimizer": {
        LEARNING_RATE: Annotated[
            float | None, typer.Option(help="The optimizer's step size; default: Keras's.", show_default=False)
        ],
        OPTION_FLAGS["optimizer"]: _option_flag("Another parameter of the optimizer, for example momentum=0.9."),
    },
    "network": {OPTION_FLAGS["network"]: _option_flag("A size of the network, for example widths=256,128.")},
}


def _annotation(name: str, kind: Any, default: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Annotated[kind, enum_option(kind, HELP[name], default=default)]
    return Annotated[kind, typer.Option(help=HELP[name])]


def _parameters() -> Iterable[inspect.Parameter]:
    for name, field in RunSpec.model_fields.items():
        kind, default = field.annotation, field.default
        if name in KINDS:
            kind, default = KINDS[name], KINDS[name](default.kind.upper())
        yield _keyword(name, _annotation(name, kind, default), default)
        yield from (_keyword(flag, annotation, None) for flag, annotation in PARAMETER_FLAGS.get(name, {}).items())


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


PARAMETERS = tuple(_parameters())

# Parts of a path such as ``optimizer.sgd.momentum``.
PARAMETER_DEPTH = 3
SEED = "seed"
SHARED_PANEL = "What all specs have in common"


def _unset(parameter: inspect.Parameter) -> inspect.Parameter:
    """The same flag without its default, so that a flag that is not given shows."""
    kind, option = get_args(parameter.annotation)
    option = copy.copy(option)
    option.show_default, option.rich_help_panel = False, SHARED_PANEL
    return parameter.replace(annotation=Annotated[kind | None, option], default=None)


# Several specs are compared under several seeds, so these are no flag of theirs.
SHARED_PARAMETERS = tuple(_unset(parameter) for parameter in PARAMETERS if parameter.name != SEED)


def _variant(field: str, values: Mapping[str, Any], faults: list[Violation]) -> dict[str, Any]:
    """The parameters of an optimizer or a network as pydantic takes them: values may be text."""
    kind, learning_rate = values[field].lower(), values[LEARNING_RATE] if field == "optimizer" else None
    options: Iterable[str] = values[OPTION_FLAGS[field]] or ()
    given: dict[str, Any] = {} if learning_rate is None else {LEARNING_RATE: learning_rate}
    known = sorted(VARIANTS[field][kind].model_fields.keys() - {"kind"})
    for option in options:
        name, equals, value = option.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            wrong = "is not of the form NAME=VALUE"
        elif name not in known:
            wrong = f"{kind} has no such parameter; it has {', '.join(known)}{suggestion(name, known)}"
        else:
            wrong = "is given twice" if name in given else ""
        if wrong:
            faults.append(Violation(field=f"{field}.{kind}.{name}", description=wrong))
        else:
            given[name] = value.strip()
    return {"kind": kind, **given}


def spec_from_flags(values: Mapping[str, Any]) -> RunSpec:
    """The spec that the flags' values describe.

    Raises:
        InvalidSpecError: naming every bad field.
    """
    faults: list[Violation] = []
    fields = {name: value for name, value in values.items() if name in RunSpec.model_fields}
    fields |= {field: _variant(field, values, faults) for field in VARIANTS}
    try:
        spec = validated(RunSpec, fields)
    except InvalidSpecError as error:
        faults += error.violations
    if faults:
        raise bad_input(InvalidFieldsError(tuple(faults)))
    return spec


def takes_run_spec(command: Callable[..., None]) -> Callable[..., None]:
    """Puts the flags of a spec in the place of a command's first parameter, which gets the spec."""
    _, *own = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        values = {parameter.name: arguments.pop(parameter.name) for parameter in PARAMETERS}
        command(spec_from_flags(values), **arguments)

    # Typer reads a command's options off its signature.
    with_flags.__signature__ = inspect.Signature([*PARAMETERS, *own])  # type: ignore[attr-defined]  # unknown to mypy
    return with_flags


def takes_shared_values(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the flags of a spec to a command, whose first parameter gets the values of those that are given, by name."""
    _, *own = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        values = {parameter.name: arguments.pop(parameter.name) for parameter in SHARED_PARAMETERS}
        command({name: value for name, value in values.items() if value is not None}, **arguments)

    with_flags.__signature__ = inspect.Signature([*own, *SHARED_PARAMETERS])  # type: ignore[attr-defined]  # as above
    return with_flags


# Existing runs of a comparison.
GROUP = "LABEL=RUN_ID,RUN_ID..."
# Fields of requests other than a spec, and their places on the command line.
PLACES: dict[re.Pattern[str], Callable[[re.Match[str]], str]] = {
    re.compile(r"run_id"): lambda _: "RUN_ID",
    re.compile(r"request_id|name|margin|alpha|seeds"): lambda found: f"--{kebab(found[0])}",
    re.compile(r"labels\.(.*)"): lambda found: f"--label {found[1]}",
    re.compile(r"(?:filter\.)?labels"): lambda _: "--label",
    re.compile(r"(?:filter\.)?losses\.\d+"): lambda _: "--loss",
    re.compile(r"(?:filter\.)?(name|state|method|dataset|optimizer|seed)s\.\d+"): lambda found: f"--{found[1]}",
    re.compile(r"(?:filter\.)?(created_after|created_before)"): lambda found: f"--{kebab(found[1])}",
    re.compile(r"(?:filter\.)?id_prefix"): lambda _: "RUN_ID",
    re.compile(r"groups"): lambda _: f"{GROUP} or --spec",
    re.compile(r"(first|second)\..*"): lambda found: found[1].upper(),
    re.compile(r"groups\.(\d+)\..*"): lambda found: f"group {int(found[1]) + 1}",
}


def flag_of(field: str) -> str:
    """The flag or argument that sets the field at this path; the path itself where none does.

    ``spec.batch_size`` → ``--batch-size``, ``spec.optimizer.sgd.momentum`` → ``--optimizer-option momentum``.
    """
    for pattern, place in PLACES.items():
        if found := pattern.fullmatch(field):
            return place(found)
    path = field.removeprefix("spec.").split(".")
    if len(path) == 1 and path[0] in RunSpec.model_fields:
        return f"--{kebab(path[0])}"
    if path[0] not in VARIANTS or len(path) < PARAMETER_DEPTH:
        return field
    # An item of a list has the list's flag.
    name = path[PARAMETER_DEPTH - 1]
    return f"--{kebab(name)}" if name == LEARNING_RATE else f"--{kebab(OPTION_FLAGS[path[0]])} {name}"
