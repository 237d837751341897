"""A comparison as people and as programs read it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import typer

from loopbench import wire
from loopbench.spec import Diagnosis, GroupSummary, Run
from loopbench.text import kebab
from loopbench_client.cli.output import err, out, percent, plain_fields
from loopbench_client.cli.tables import table
from loopbench_client.cli.verdicts import print_verdicts
from loopbench_client.cli.wording import in_flags
from loopbench_client.comparing.claims import ClaimOutcome
from loopbench_client.comparing.compared import Compared, Failure

Diagnoses = Mapping[tuple[str, str], Diagnosis | str]

NO_CAUSE = "no difference above rounding was found"
OTHER_ENVIRONMENTS = "The environments of the runs differ in: {}. That alone may change their weights."
HOLDS: dict[bool | None, str] = {True: "yes", False: "no", None: "open"}


def print_compared(compared: Compared, published: Mapping[str, str]) -> None:
    """The groups, and the verdict on every pair; ``published`` figures stand beside ours."""
    if compared.comparison is None:
        err().print("nothing to compare: fewer than two groups have results", soft_wrap=True)
        return
    out().print(table(*_columns(compared, published), rows=_rows(compared, published)))
    print_verdicts(compared.comparison)
    print_differing(compared.differing_facts)


def print_differing(facts: Iterable[str]) -> None:
    """The facts in which the environments of the runs differ, if there are any."""
    if names := ", ".join(facts):
        out().print(OTHER_ENVIRONMENTS.format(names), soft_wrap=True)


def _off(compared: Compared) -> dict[str, str]:
    """What the loops reported, where it is not what was counted: by label."""
    return {label: percent(compared.reported(label)) for label in compared.runs if compared.misreports(label)}


def _diverged(compared: Compared) -> bool:
    """Whether a run of any group did."""
    return any(map(compared.diverged, compared.runs))


def _columns(compared: Compared, published: Mapping[str, str]) -> list[str]:
    columns = ["group", "seeds"] + (["diverged"] if _diverged(compared) else []) + ["train", "validation"]
    columns += ["the loop reported"] if _off(compared) else []
    return columns + (["published"] if published else [])


def _rows(compared: Compared, published: Mapping[str, str]) -> Iterable[list[str]]:
    off, diverged = _off(compared), _diverged(compared)
    for group in compared.comparison.groups if compared.comparison else ():
        row = [group.label, str(len(group.seeds))] + ([str(len(group.diverged_seeds))] if diverged else [])
        row += [_spread(group, "train"), _spread(group, "validation")]
        row += [off.get(group.label, "")] if off else []
        yield row + ([published.get(group.label, "")] if published else [])


def _spread(group: GroupSummary, split: str) -> str:
    """Mean ± standard deviation, in percent."""
    mean, deviation = getattr(group, f"{split}_accuracy_mean"), getattr(group, f"{split}_accuracy_sd")
    return percent(mean) if deviation is None else f"{100 * mean:.2f} ± {100 * deviation:.2f} %"


def print_claims(outcomes: Iterable[ClaimOutcome], departures: Iterable[str]) -> None:
    """What was claimed, and whether it holds; ``departures`` are the fields in which the specs are not as published."""
    fields = ", ".join(map(kebab, departures))
    if fields:
        out().print(f"not comparable with the published figures: {fields} are not as published", soft_wrap=True)
    rows = [(outcome.label, outcome.claim, HOLDS[outcome.holds], outcome.reason) for outcome in outcomes]
    out().print(table("group", "claim", "holds", "because", rows=rows, words=4))


def describe_failure(failure: Failure) -> str:
    """The group, the seed and what went wrong."""
    return f"{', '.join(failure.labels)}, seed {failure.spec.seed}: {failure.message}"


def print_failures(failures: Iterable[Failure]) -> None:
    """The runs without a result, with their reasons and what to do about them."""
    console = err()
    for failure in failures:
        console.print(f"failed: {describe_failure(failure)}", soft_wrap=True)
        console.print(f"  {f'run {failure.run_id}, ' if failure.run_id else ''}reason {failure.reason}", soft_wrap=True)
        if failure.hint:
            console.print(f"  hint: {in_flags(failure.hint)}", soft_wrap=True)


def print_diagnoses(diagnoses: Diagnoses) -> None:
    """The causes, a line each, pair by pair."""
    for (first, second), found in diagnoses.items():
        out().print(f"{first} and {second}: {_causes(found)}", soft_wrap=True)


def _causes(found: Diagnosis | str) -> str:
    if isinstance(found, str):
        return found
    causes = "; ".join(cause.title for cause in found.causes)
    rounding = "; ".join(cause.title for cause in found.rounding)
    return causes or NO_CAUSE + (f" (within rounding: {rounding})" if rounding else "")


def print_compared_json(compared: Compared, outcomes: Iterable[ClaimOutcome], diagnoses: Diagnoses) -> None:
    """The comparison in protobuf's JSON form, and beside its fields what was trained for it."""
    document: dict[str, Any] = {"groups": [], "pairs": []}
    if compared.comparison is not None:
        document |= plain_fields(wire.comparison_to_wire(compared.comparison))
    document["specs"] = {label: plain_fields(wire.spec_to_wire(spec)) for label, spec in compared.specs.items()}
    document["runs"] = {label: [_run_fields(run) for run in runs] for label, runs in compared.runs.items()}
    document["failures"] = [failure_fields(failure) for failure in compared.failures]
    document["claims"] = [_claim(outcome) for outcome in outcomes]
    document["diagnoses"] = [_diagnosis(*pair, found) for pair, found in diagnoses.items()]
    document["reused"] = compared.reused
    typer.echo(json.dumps(document, indent=2))


def _run_fields(run: Run) -> dict[str, Any]:
    return plain_fields(wire.run_to_wire(run))


def failure_fields(failure: Failure) -> dict[str, Any]:
    """A run without a result, for JSON."""
    return {
        "labels": failure.labels,
        "spec": plain_fields(wire.spec_to_wire(failure.spec)),
        "runId": failure.run_id,
        "reason": failure.reason,
        "message": failure.message,
        "hint": failure.hint,
    }


def _claim(outcome: ClaimOutcome) -> dict[str, Any]:
    return {
        "label": outcome.label,
        "published": outcome.his_figure,
        "claim": outcome.claim,
        "holds": outcome.holds,
        "reason": outcome.reason,
    }


def _diagnosis(first: str, second: str, found: Diagnosis | str) -> dict[str, Any]:
    shown = {"error": found} if isinstance(found, str) else plain_fields(wire.diagnosis_to_wire(found))
    # Beside "first" and "second", which are the specs.
    return {"labels": [first, second], **shown}
