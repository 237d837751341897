"""``loopbench compare``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from loopbench import wire
from loopbench.spec import RunGroup, Verdict
from loopbench_client.cli.comparisons import (
    Diagnoses,
    describe_failure,
    print_claims,
    print_compared,
    print_compared_json,
    print_diagnoses,
    print_failures,
)
from loopbench_client.cli.error_output import command_line
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.files import check_file
from loopbench_client.cli.live_table import watching
from loopbench_client.cli.options import Json, Server, enum_option, kebab
from loopbench_client.cli.output import err, print_json
from loopbench_client.cli.plan_flags import PlanFlags, plan_from_flags
from loopbench_client.cli.run_flags import takes_shared_values
from loopbench_client.cli.session import connect
from loopbench_client.cli.waiting import waiting
from loopbench_client.client import Client
from loopbench_client.comparing.claims import ClaimOutcome
from loopbench_client.comparing.compared import Compared, compare_specs
from loopbench_client.comparing.diagnosing import diagnose_pairs
from loopbench_client.comparing.plan import Plan
from loopbench_client.comparing.presets import PRESETS, Preset
from loopbench_client.report import NAME, Report, check_report, write_report


class Requirement(StrEnum):
    """What every pair has to be."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"


# The same bits are equivalent as well.
MET_BY: dict[Requirement, frozenset[Verdict]] = {
    Requirement.IDENTICAL: frozenset({Verdict.IDENTICAL}),
    Requirement.EQUIVALENT: frozenset({Verdict.IDENTICAL, Verdict.EQUIVALENT}),
}

PresetName = StrEnum("PresetName", {name.upper(): name.upper() for name in PRESETS})  # type: ignore[misc]  # mypy wants literals

# More of them would be no title.
LABELS_IN_A_TITLE = 4

RESUMES = "the same command again goes on from here: what has finished is not run again"


@takes_shared_values
def compare(
    shared: Mapping[str, Any],
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LABEL=RUN_ID,RUN_ID...",
            help="Runs of one spec under several seeds, that there are already.",
            show_default=False,
        ),
    ] = None,
    *,
    spec: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'LABEL: NAME=VALUE...'",
            help="A spec to train, for example 'fit: method=fit learning-rate=0.1'. May be given again.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Specs to train, from a file.", show_default=False)
    ] = None,
    preset: Annotated[PresetName | None, enum_option(PresetName, "Specs to train, with published claims.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="Seeds of each spec, or a list of them, with commas; default: 5."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The first of the seeds; default: 0.", show_default=False)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train again what the server has already.")] = False,
    margin: Annotated[
        float | None, typer.Option(help="Accuracy, 0 to 1, below which a difference counts for nothing.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Significance level.")] = None,
    require: Annotated[
        Requirement | None, enum_option(Requirement, "What every pair has to be, or the exit code is 8.")
    ] = None,
    diagnose: Annotated[
        bool | None,
        typer.Option(help="Also find out why the first group differs from the others; with --report by default."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write all of it as one HTML page into this folder.", show_default=False),
    ] = None,
    server: Server = None,
    json: Json = False,
) -> None:
    """Train specs under several seeds, and say for every pair whether they are identical, equivalent or different.

    A pair of which a run diverged is none of these, and does not meet --require.

    Runs that the server has already are not trained again, so a comparison that was interrupted goes on where it was.
    """
    chosen = PRESETS[preset.lower()] if preset else None
    settings = {"seeds": seeds, "seed": seed, "margin": margin, "alpha": alpha}
    given = {name: value for name, value in settings.items() if value is not None}
    plan = plan_from_flags(PlanFlags(tuple(groups or ()), tuple(spec or ()), shared, given, file, chosen, fresh))
    if report is not None:
        check_file(report / NAME, "--report")
        check_report(report)
    diagnosed = report is not None if diagnose is None else diagnose
    with connect(server, ready=bool(plan.specs) or diagnosed) as client:
        plan = replace(plan, groups=tuple(_with_whole_ids(client, group) for group in plan.groups))
        compared = _compared(client, plan, fresh=fresh)
        outcomes = chosen.check(compared) if chosen else ()
        if not json:
            # Verdicts are printed before the experiments start, which may be interrupted.
            _print(compared, chosen, outcomes)
        with waiting("the diagnosis of each pair", None):
            diagnoses = diagnose_pairs(client, compared) if diagnosed else {}
    if json:
        _print_json(compared, plan, outcomes, diagnoses)
    else:
        print_diagnoses(diagnoses)
    print_failures(compared.failures)
    if report is not None:
        _write_report(report, compared, outcomes, diagnoses)
    if compared.failures:
        raise typer.Exit(ExitCode.RUN_FAILED)
    pairs = compared.comparison.pairs if compared.comparison else ()
    if require and any(pair.verdict not in MET_BY[require] for pair in pairs):
        raise typer.Exit(ExitCode.NOT_MET)


def _with_whole_ids(client: Client, group: RunGroup) -> RunGroup:
    return group.model_copy(update={"run_ids": tuple(map(client.find_run_id, group.run_ids))})


def _compared(client: Client, plan: Plan, *, fresh: bool) -> Compared:
    try:
        with watching(plan) as watcher:
            return compare_specs(client, plan, fresh=fresh, watcher=watcher)
    except KeyboardInterrupt:
        if plan.specs:
            err().print(RESUMES, soft_wrap=True)
        raise


def _print(compared: Compared, preset: Preset | None, outcomes: Sequence[ClaimOutcome]) -> None:
    print_compared(compared, {row.label: row.published for row in preset.rows} if preset else {})
    if preset:
        print_claims(outcomes, preset.departures(compared.specs))


def _print_json(compared: Compared, plan: Plan, outcomes: Sequence[ClaimOutcome], diagnoses: Diagnoses) -> None:
    if plan.specs or diagnoses:
        print_compared_json(compared, outcomes, diagnoses)
    else:
        assert compared.comparison is not None, "two groups of runs at the least were given"
        print_json(wire.comparison_to_wire(compared.comparison))


def _title(compared: Compared) -> str:
    """The labels, or their number, and the datasets."""
    labels = [*compared.runs]
    datasets = dict.fromkeys(kebab(compared.specs[label].dataset) for label in labels)
    names = " · ".join(labels) if len(labels) <= LABELS_IN_A_TITLE else f"{len(labels)} groups"
    return f"{names} on {' and '.join(datasets)}"


def _write_report(folder: Path, compared: Compared, outcomes: Sequence[ClaimOutcome], diagnoses: Diagnoses) -> None:
    if compared.comparison is None:
        return
    path = write_report(
        folder,
        Report(
            title=_title(compared),
            command=command_line(),
            comparison=compared.comparison,
            specs=compared.specs,
            runs=compared.runs,
            created=datetime.now(UTC),
            diagnoses=diagnoses,
            claims=outcomes,
            failures=[describe_failure(failure) for failure in compared.failures],
        ),
    )
    err().print(f"report: {path}", soft_wrap=True)
