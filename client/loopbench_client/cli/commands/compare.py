"""``loopbench compare``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from loopbench import wire
from loopbench.spec import InvalidFieldsError, PairComparison, RunGroup, Verdict, Violation
from loopbench.text import kebab
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.comparisons import (
    Diagnoses,
    describe_failure,
    print_claims,
    print_compared,
    print_compared_json,
    print_diagnoses,
    print_failures,
)
from loopbench_client.cli.environments import print_across, print_across_json
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.files import check_file
from loopbench_client.cli.live_table import watching
from loopbench_client.cli.options import Json, Server, bad_input, enum_option
from loopbench_client.cli.output import err, print_json
from loopbench_client.cli.plan_flags import PlanFlags, plan_from_flags
from loopbench_client.cli.run_flags import GROUP, takes_shared_values
from loopbench_client.cli.session import connect
from loopbench_client.cli.waiting import waiting
from loopbench_client.client import Client
from loopbench_client.comparing.claims import ClaimOutcome
from loopbench_client.comparing.compared import Compared, compare_specs
from loopbench_client.comparing.diagnosing import diagnose_pairs
from loopbench_client.comparing.environments import compare_environments
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


class Across(StrEnum):
    """What the groups of a comparison differ in, instead of the spec."""

    ENVIRONMENT = "ENVIRONMENT"


PresetName = StrEnum("PresetName", {name.upper(): name.upper() for name in PRESETS})  # type: ignore[misc]  # mypy wants literals

# More of them would be no title.
LABELS_IN_A_TITLE = 4

ONLY_ACROSS = "has no effect without --across environment"
WITHOUT_ACROSS = "cannot be given together with --across"
RESUMES = "the same command again resumes here: finished runs are not repeated"


@takes_shared_values
def compare(
    shared: Mapping[str, Any],
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=GROUP,
            help="Existing runs of one spec under several seeds.",
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
    fresh: Annotated[bool, typer.Option("--fresh", help="Train again, also where the server has such runs.")] = False,
    margin: Annotated[
        float | None, typer.Option(help="Accuracy, 0 to 1, below which a difference counts for nothing.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Significance level.")] = None,
    require: Annotated[
        Requirement | None, enum_option(Requirement, "What every pair has to be, or the exit code is 8.")
    ] = None,
    across: Annotated[
        Across | None,
        enum_option(Across, "Compare the runs of each spec with those that other environments of the store trained."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="previous|NAME=VALUE,...",
            help="With --across, the environment to compare with: previous is the one before that of the server "
            "on the same hardware, tensorflow=2.20 the only one with this version. --require then applies to the "
            "server's environment.",
            show_default=False,
        ),
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

    Existing runs are not trained again, so the same command resumes a comparison that was interrupted.

    With --across environment, the groups are not the specs, but the environments that trained a spec: versions, commit
    of the server, device, processor, threads. So it shows whether an upgrade changed training.
    """
    _check_across(across, baseline, report=report is not None, diagnose=bool(diagnose))
    chosen = PRESETS[preset.lower()] if preset else None
    settings = {"seeds": seeds, "seed": seed, "margin": margin, "alpha": alpha}
    given = {name: value for name, value in settings.items() if value is not None}
    texts = tuple(groups or ()), tuple(spec or ())
    plan = plan_from_flags(PlanFlags(*texts, shared, given, file, chosen, fresh, across=across is not None))
    if across:
        _compare_across(server, plan, baseline, require, fresh=fresh, json=json)
        return
    if report is not None:
        check_file(report / NAME, "--report")
        check_report(report)
    diagnosed = report is not None if diagnose is None else diagnose
    with connect(server, ready=bool(plan.specs) or diagnosed) as client:
        with waiting("the list of runs", DEFAULT_TIMEOUT):
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
        _write_report(report, compared, chosen, outcomes, diagnoses)
    if compared.failures:
        raise typer.Exit(ExitCode.RUN_FAILED)
    pairs = compared.comparison.pairs if compared.comparison else ()
    if require and not _meet(pairs, require):
        raise typer.Exit(ExitCode.NOT_MET)


def _check_across(across: Across | None, baseline: str | None, *, report: bool, diagnose: bool) -> None:
    given = {"--report": report, "--diagnose": diagnose} if across else {"--baseline": baseline is not None}
    words = WITHOUT_ACROSS if across else ONLY_ACROSS
    faults = tuple(Violation(field=flag, description=words) for flag, found in given.items() if found)
    if faults:
        raise bad_input(InvalidFieldsError(faults))


def _compare_across(
    server: str | None, plan: Plan, baseline: str | None, require: Requirement | None, *, fresh: bool, json: bool
) -> None:
    with connect(server, ready=True) as client, _resumable(plan), watching(plan) as watcher:
        try:
            compared = compare_environments(client, plan, baseline, fresh=fresh, watcher=watcher)
        except InvalidFieldsError as error:
            faults = tuple(one.model_copy(update={"field": f"--{one.field}"}) for one in error.violations)
            raise bad_input(InvalidFieldsError(faults)) from error
    if json:
        print_across_json(compared, plan)
    else:
        print_across(compared)
    print_failures(compared.failures)
    if compared.failures:
        raise typer.Exit(ExitCode.RUN_FAILED)
    gated = [pair for one in compared.comparisons for pair in one.gated]
    if require and (compared.unproven or not _meet(gated, require)):
        raise typer.Exit(ExitCode.NOT_MET)


def _meet(pairs: Iterable[PairComparison], requirement: Requirement) -> bool:
    return all(pair.verdict in MET_BY[requirement] for pair in pairs)


def _with_whole_ids(client: Client, group: RunGroup) -> RunGroup:
    return group.model_copy(update={"run_ids": tuple(map(client.find_run_id, group.run_ids))})


def _compared(client: Client, plan: Plan, *, fresh: bool) -> Compared:
    with _resumable(plan), watching(plan) as watcher:
        return compare_specs(client, plan, fresh=fresh, watcher=watcher)


@contextmanager
def _resumable(plan: Plan) -> Iterator[None]:
    """Says after an interrupt that nothing is lost."""
    try:
        yield
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


def _write_report(
    folder: Path, compared: Compared, preset: Preset | None, outcomes: Sequence[ClaimOutcome], diagnoses: Diagnoses
) -> None:
    if compared.comparison is None:
        return
    path = write_report(
        folder,
        Report(
            title=_title(compared),
            comparison=compared.comparison,
            specs=compared.specs,
            runs=compared.runs,
            created=datetime.now(UTC),
            diagnoses=diagnoses,
            claims=outcomes,
            preset=preset.name if preset else "",
            failures=[describe_failure(failure) for failure in compared.failures],
        ),
    )
    err().print(f"report: {path}", soft_wrap=True)
