"""The diagnoses, pair by pair."""

from dataclasses import dataclass

from loopbench.page.bars import ratio_bars
from loopbench.page.html import Html
from loopbench.page.pictures import Picture, pictures
from loopbench.spec import Cause, Diagnosis, Evidence, Side
from loopbench.text import answer, figure
from loopbench_client.report.specifications import changes
from loopbench_client.report.verdicts import Block, blocks, numbered


@dataclass(frozen=True)
class EvidenceRow:
    """A measurement in words; empty where there is no figure. A ratio has a ``bar``."""

    name: str
    description: str
    expected: str
    observed: str
    bar: Html


@dataclass(frozen=True)
class FoundCause:
    """A cause; ``at_fault`` is the label of the side at fault, empty where the two only differ."""

    cause: Cause
    at_fault: str
    evidence: tuple[EvidenceRow, ...]


@dataclass(frozen=True)
class Fix:
    """What to change in a group's specification to remove all differences, also those within rounding."""

    label: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosed:
    """A pair with its causes, or with the text that says why it has none to show; ``number`` is that of its link.

    ``rounding`` are differences that single precision explains.
    """

    number: int
    first: str
    second: str
    text: str = ""
    causes: tuple[FoundCause, ...] = ()
    rounding: tuple[Cause, ...] = ()
    fixes: tuple[Fix, ...] = ()
    controls: tuple[EvidenceRow, ...] = ()
    verification: tuple[Block, ...] = ()
    pictures: tuple[Picture, ...] = ()


def diagnosed(number: int, labels: tuple[str, str], found: Diagnosis | str) -> Diagnosed:
    """What is known of a pair."""
    if isinstance(found, str):
        return Diagnosed(number, *labels, text=found)
    by_side = dict(zip(Side, labels, strict=True))
    fixes = (
        Fix(labels[0], changes(found.first, found.fixed_first)),
        Fix(labels[1], changes(found.second, found.fixed_second)),
    )
    return Diagnosed(
        number,
        *labels,
        text="" if found.causes else answer(found),
        causes=tuple(_cause(cause, by_side[cause.side] if cause.side else "") for cause in found.causes),
        rounding=found.rounding,
        fixes=tuple(fix for fix in fixes if fix.changes),
        controls=_rows(found.controls),
        verification=blocks(numbered(found.verification)) if found.verification else (),
        pictures=pictures(found.replay, labels),
    )


def _cause(cause: Cause, at_fault: str) -> FoundCause:
    return FoundCause(cause, at_fault, _rows(cause.evidence))


def _rows(evidence: tuple[Evidence, ...]) -> tuple[EvidenceRow, ...]:
    bars = ratio_bars(evidence)
    return tuple(
        EvidenceRow(
            item.name, item.description, figure(item.expected), figure(item.observed), bars.get(item.name, Html())
        )
        for item in evidence
    )
