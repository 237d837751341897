"""The groups in a table, and what is claimed of them."""

from dataclasses import dataclass

from loopbench.spec import GroupSummary, Result
from loopbench_client.report.marks import Mark
from loopbench_client.report.model import Claim, Report
from loopbench_client.report.specifications import Settings, apart, settings, shared
from loopbench_client.report.words import mean, mean_and_sd, percent

SPLITS = ("train", "validation")

# Fewer are as short one by one.
FEWEST_SEEDS_OF_A_RANGE = 3

HOLDS: dict[bool | None, str] = {True: "holds", False: "does not hold", None: "not decided"}


@dataclass(frozen=True)
class GroupRow:
    """A group's line; ``reported`` is empty for a split where it is as final.

    ``diverged`` says under how many seeds the runs did, and is empty where none did.
    """

    mark: Mark
    apart: Settings
    diverged: str
    seeds: str
    final: tuple[str, ...]
    reported: tuple[str, ...]
    updates: str
    train_seconds: str


@dataclass(frozen=True)
class ClaimRow:
    """A claim beside what was found; ``ours`` is empty for a group without results."""

    claim: Claim
    verdict: str
    ours: str


@dataclass(frozen=True)
class GroupTable:
    """All groups, and what their specifications share."""

    shared: Settings
    rows: tuple[GroupRow, ...]


def results(report: Report, label: str) -> tuple[Result, ...]:
    """What a group's runs found."""
    return tuple(run.result for run in report.runs[label] if run.result is not None)


def group_table(report: Report, marks: dict[str, Mark]) -> GroupTable:
    """The table of all groups."""
    known = {label: settings(report.specs[label]) for label in marks}
    common = shared(known.values()) if known else {}
    rows = (
        _row(group, marks[group.label], apart(known[group.label], common), results(report, group.label))
        for group in report.comparison.groups
    )
    return GroupTable(common, tuple(rows))


def _row(group: GroupSummary, mark: Mark, own: Settings, found: tuple[Result, ...]) -> GroupRow:
    return GroupRow(
        mark=mark,
        apart=own,
        diverged=_diverged(found),
        seeds=_seeds(group.seeds),
        final=tuple(
            mean_and_sd(getattr(group, f"{split}_accuracy_mean"), getattr(group, f"{split}_accuracy_sd"))
            for split in SPLITS
        ),
        reported=tuple(_reported(found, split) for split in SPLITS),
        updates=" or ".join(f"{updates:,}" for updates in sorted({result.updates for result in found})),
        train_seconds=f"{mean(result.phases.train_seconds for result in found):.2f}",
    )


def _diverged(found: tuple[Result, ...]) -> str:
    number = sum(result.diverged is not None for result in found)
    return f"diverged: {number} of {len(found)} seeds" if number else ""


def _seeds(seeds: tuple[int, ...]) -> str:
    first, last = seeds[0], seeds[-1]
    if len(seeds) >= FEWEST_SEEDS_OF_A_RANGE and seeds == (*range(first, last + 1),):
        return f"{first} to {last}"
    return ", ".join(map(str, seeds))


def _reported(found: tuple[Result, ...], split: str) -> str:
    said = percent(mean(getattr(result, f"reported_{split}").accuracy for result in found))
    counted = percent(mean(getattr(result, split).accuracy for result in found))
    return "" if said == counted else said


def claim_rows(report: Report) -> tuple[ClaimRow, ...]:
    """Every claim with the final accuracies of its group, train and validation."""
    ours = {
        group.label: f"{percent(group.train_accuracy_mean)} / {percent(group.validation_accuracy_mean)}"
        for group in report.comparison.groups
    }
    return tuple(ClaimRow(claim, HOLDS[claim.holds], ours.get(claim.label, "")) for claim in report.claims)
