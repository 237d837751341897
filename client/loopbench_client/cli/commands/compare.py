"""``loopbench compare``."""

from enum import StrEnum
from typing import Annotated

import typer

from loopbench import wire
from loopbench.spec import Comparison, RunGroup, Verdict
from loopbench_client.cli.exits import ExitCode
from loopbench_client.cli.options import Json, Server, enum_option, kebab, validated
from loopbench_client.cli.output import out, percent, print_json
from loopbench_client.cli.session import connect
from loopbench_client.cli.tables import table


class Requirement(StrEnum):
    """What every pair has to be."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"


# The same bits are equivalent as well.
MET_BY: dict[Requirement, frozenset[Verdict]] = {
    Requirement.IDENTICAL: frozenset({Verdict.IDENTICAL}),
    Requirement.EQUIVALENT: frozenset({Verdict.IDENTICAL, Verdict.EQUIVALENT}),
}


def _group(text: str) -> RunGroup:
    """``tape=ID,ID`` → a group."""
    label, equals, run_ids = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not of the form LABEL=RUN_ID,RUN_ID…", param_hint="GROUP")
    return validated(RunGroup, {"label": label, "run_ids": [name for name in run_ids.split(",") if name]})


def compare(
    groups: Annotated[
        list[str],
        typer.Argument(
            metavar="LABEL=RUN_ID,RUN_ID…", help="Runs of one spec under several seeds.", show_default=False
        ),
    ],
    *,
    margin: Annotated[
        float | None, typer.Option(help="Accuracy, 0 to 1, below which a difference counts for nothing.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Significance level.")] = None,
    require: Annotated[
        Requirement | None, enum_option(Requirement, "What every pair has to be, or the exit code is 8.")
    ] = None,
    server: Server = None,
    json: Json = False,
) -> None:
    """Say for every pair of groups whether they are identical, equivalent or different."""
    parsed = [_group(text) for text in groups]
    with connect(server) as client:
        comparison = client.compare(parsed, margin, alpha)
    if json:
        print_json(wire.comparison_to_wire(comparison))
    else:
        _print(comparison)
    if require and any(pair.verdict not in MET_BY[require] for pair in comparison.pairs):
        raise typer.Exit(ExitCode.NOT_MET)


def _print(comparison: Comparison) -> None:
    summaries = [
        (
            group.label,
            str(len(group.run_ids)),
            percent(group.train_accuracy_mean),
            percent(group.validation_accuracy_mean),
            "" if group.validation_accuracy_sd is None else percent(group.validation_accuracy_sd),
        )
        for group in comparison.groups
    ]
    console = out()
    console.print(table("group", "runs", "train", "validation", "sd", rows=summaries))
    for pair in comparison.pairs:
        verdict = f"{pair.first_label} and {pair.second_label}: {kebab(pair.verdict)}. {pair.explanation}"
        console.print(verdict, soft_wrap=True)
