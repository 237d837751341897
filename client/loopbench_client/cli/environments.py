"""Verdicts across environments as people and as programs read them."""

import json
from collections.abc import Iterator
from typing import Any

import typer

from loopbench import wire
from loopbench.spec.environments import differing
from loopbench_client.cli.comparisons import failure_fields
from loopbench_client.cli.output import err, out, plain_fields
from loopbench_client.cli.tables import table
from loopbench_client.cli.verdicts import figure_columns, figures
from loopbench_client.comparing.environments import AcrossEnvironments, FoundEnvironment
from loopbench_client.comparing.plan import Plan

HERE = "this server"


def print_across(across: AcrossEnvironments) -> None:
    """The environments by their labels, and a line per spec and pair."""
    keys = [one.key for one in across.environments.values()]
    names = differing(keys)
    rows = [
        [label, *(one.key.facts.get(name, "") for name in names), _began(one), HERE if one.here else ""]
        for label, one in across.environments.items()
    ]
    console = out()
    console.print(table("environment", *names, "first run", "", rows=rows, words=len(names) + 3))
    shared = [f"{name} {value}" for name, value in keys[0].facts.items() if name not in names] if keys else []
    console.print(f"the same in all: {', '.join(shared)}", soft_wrap=True)
    pairs = [*_pairs(across)]
    if pairs:
        alpha = across.comparisons[0].comparison.alpha
        columns = ("spec", "first", "second", *figure_columns(alpha), "differs in")
        console.print(table(*columns, rows=pairs, words=4, wrapping=("differs in",)))
    for spec in across.not_compared:
        err().print(f"not compared: {spec!r} has no runs of two environments to compare", soft_wrap=True)


def _began(environment: FoundEnvironment) -> str:
    return f"{environment.began:%Y-%m-%d %H:%M}" if environment.began else ""


def _pairs(across: AcrossEnvironments) -> Iterator[tuple[str, ...]]:
    for one in across.comparisons:
        for pair in one.comparison.pairs:
            ends = [across.environments[label] for label in (pair.first_label, pair.second_label)]
            yield one.spec, pair.first_label, pair.second_label, *figures(pair), _changes(*ends)


def _changes(first: FoundEnvironment, second: FoundEnvironment) -> str:
    """``keras 3.12.0 → 3.15.1``: the facts in which two environments differ."""
    before, after = first.key.facts, second.key.facts
    names = differing((first.key, second.key))
    return ", ".join(f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}" for name in names)


def print_across_json(across: AcrossEnvironments, plan: Plan) -> None:
    """The comparisons in protobuf's JSON form, with their specs and environments."""
    document = {
        "environments": [_environment(label, one) for label, one in across.environments.items()],
        "comparisons": [
            {"spec": one.spec, **plain_fields(wire.comparison_to_wire(one.comparison))} for one in across.comparisons
        ],
        "notCompared": across.not_compared,
        "specs": {label: plain_fields(wire.spec_to_wire(spec)) for label, spec in plan.specs.items()},
        "failures": [failure_fields(failure) for failure in across.failures],
        "reused": across.reused,
    }
    typer.echo(json.dumps(document, indent=2))


def _environment(label: str, environment: FoundEnvironment) -> dict[str, Any]:
    return {
        "label": label,
        "here": environment.here,
        "began": environment.began.isoformat() if environment.began else None,
        "hardware": dict(environment.key.hardware),
        "software": dict(environment.key.software),
    }
