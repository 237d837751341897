"""``docs/configuration.md``, from the settings of the programs and the flags of the commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from loopbench_client.access import TOKEN_VARIABLE
from loopbench_client.cli.app import app
from loopbench_server.config import STATE_DIR, Settings
from loopbench_server.sweep.settings import SweepSettings
from scripts.documents.rendering import render

# Program → its settings.
PROGRAMS: dict[str, type[BaseSettings]] = {"loopbench-server": Settings, "loopbench-sweep-index": SweepSettings}

# Every setting of every program is in one of them.
GROUPS: dict[str, tuple[str, ...]] = {
    "Addresses": ("address", "metrics_address", "health_address", "reflection"),
    "Access": ("tls_certificate", "tls_key", "tls_client_ca", "tokens_file", "insecure"),
    "Storage": ("store_url", "tensorboard_dir", "keep_runs_days", "keep_weights_days", "lease_seconds"),
    "Runs": (
        "sweep_file",
        "data_dir",
        "slots",
        "gpu_slots",
        "standby_workers",
        "queue_size",
        "caller_runs",
        "run_seconds",
        "run_megabytes",
        "threads_per_run",
    ),
    "Start, end and log": ("drain_seconds", "exit_on_stdin_eof", "log_format", "log_level"),
}

# Defaults that depend on the machine, in words.
OF_THE_MACHINE = {"slots": "the number of cores", "gpu_slots": "the number of GPUs"}

TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "switch",
    "string": "text",
    "path": "path",
    "address": "address",
}


@dataclass(frozen=True)
class Row:
    """A setting, as people give it."""

    flag: str
    variable: str
    type: str
    default: str
    description: str


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    above = schema.get("exclusiveMinimum")
    words = [] if above is None else [f"above {above:,}"]
    words += [] if low is None else [f"at least {low:,}"]
    words += [] if high is None else [f"at most {high:,}"]
    return "".join(f", {word}" for word in words)


def _type(schema: Mapping[str, Any]) -> str:
    """What JSON Schema says of a setting, in words."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{choice}`" for choice in choices)
    return TYPES[schema["format"] if schema.get("format") in TYPES else schema["type"]] + _bounds(schema)


def _default(name: str, value: Any) -> str:
    if name in OF_THE_MACHINE:
        return OF_THE_MACHINE[name]
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case SecretStr():
            return _default("", value.get_secret_value())
        case str() | Path():
            return f"`{value}`".replace(str(STATE_DIR), "STATE")
        case _:
            return f"`{value:g}`"


def _row(settings: type[BaseSettings], name: str) -> Row:
    field = settings.model_fields[name]
    schema = settings.model_json_schema()["properties"][name]
    switch = "no-" if field.default is True else ""
    return Row(
        flag=f"--{switch}{name.replace('_', '-')}",
        variable=f"{settings.model_config['env_prefix']}{name.upper()}",
        type=_type(schema),
        default="required" if field.is_required() else _default(name, field.default),
        description=field.description or "",
    )


def groups(settings: type[BaseSettings]) -> dict[str, list[Row]]:
    """The settings of a program by the names of their groups.

    Raises:
        KeyError: a setting has no group.
    """
    homeless = settings.model_fields.keys() - {name for names in GROUPS.values() for name in names}
    if homeless:
        raise KeyError(f"settings without a group: {', '.join(sorted(homeless))}")
    rows = {
        group: [_row(settings, name) for name in names if name in settings.model_fields]
        for group, names in GROUPS.items()
    }
    return {group: found for group, found in rows.items() if found}


def client_variables() -> dict[str, tuple[str, str]]:
    """Variables that commands take, each with its flag and with what the help says."""
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]  # the application is a group
    options = [option for command in commands for option in command.params if getattr(option, "envvar", None)]
    return {option.envvar: (option.opts[0], option.help) for option in options}


def configuration() -> str:
    """The whole page."""
    return render(
        "configuration.md.jinja",
        programs={program: groups(settings) for program, settings in PROGRAMS.items()},
        client=client_variables(),
        token=TOKEN_VARIABLE,
    )
