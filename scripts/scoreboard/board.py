"""The scoreboard as a page of ``docs/``."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from scripts.scoreboard.cases import Answer, Case
from scripts.scoreboard.peers import PEERS
from scripts.scoreboard.verdicts import MEANINGS, Verdict

HEADER = """# Scoreboard of the diagnosis

`make scoreboard` writes this page. It diagnoses small Keras programs and, if there is one, the
repaired version of each. `tests/diagnose/published` rebuilds faults of public threads.
`tests/diagnose/variants` has the same kinds of faults in other models, losses, optimizers and styles;
an author who had not seen the diagnosis wrote them. `labels.py` beside the cases lists the causes
that each case must report."""

CAVEAT = """## What other tools report

These results are those of the tools' authors, on other programs. They answer a different question:
most of them judge *one* program by learned patterns or by rules. loopbench compares *two* programs,
explains by experiment why they differ, and needs a correct side. So the numbers are no ranking."""


@dataclass(frozen=True)
class Result:
    """A case with its answer and the verdict on it."""

    case: Case
    answer: Answer
    verdict: Verdict


def page(results: Sequence[Result]) -> str:
    """The whole page."""
    sections = (HEADER, _summary(results), _kinds(results), _meanings(), _cases(results), CAVEAT, _peers())
    return "\n\n".join(sections) + "\n"


def _summary(results: Sequence[Result]) -> str:
    hits = sum(result.verdict is Verdict.HIT for result in results)
    seconds = [result.answer.seconds for result in results]
    times = f" One diagnosis takes {median(seconds):.0f} s (median), at most {max(seconds):.0f} s." if seconds else ""
    return f"**{hits} of {len(results)} diagnoses are right.**{times}"


def _kinds(results: Sequence[Result]) -> str:
    kinds = {result.case.label.kind: None for result in results}
    counted = {kind: _counts(result for result in results if result.case.label.kind == kind) for kind in kinds}
    rows = [*sorted(counted.items()), ("**all**", _counts(results))]
    return _table(
        ("kind of fault", *Verdict), ((kind, *(str(counts[verdict]) for verdict in Verdict)) for kind, counts in rows)
    )


def _counts(results: Iterable[Result]) -> Counter[Verdict]:
    return Counter(result.verdict for result in results)


def _meanings() -> str:
    return "\n".join(f"- {name}: {meaning}" for name, meaning in MEANINGS.items())


def _cases(results: Sequence[Result]) -> str:
    rows = (
        (
            result.case.name,
            result.case.label.kind,
            _codes(result.case.label.needed) or "none",
            result.answer.error or _codes(result.answer.reasons) or "none",
            result.verdict,
            result.case.label.source,
        )
        for result in results
    )
    return "## Every case\n\n" + _table(("case", "kind", "causes", "reported", "verdict", "source"), rows)


def _codes(reasons: Iterable[str]) -> str:
    return ", ".join(" or ".join(f"`{name}`" for name in reason.split("|")) for reason in reasons)


def _peers() -> str:
    rows = ((peer.name, peer.question, peer.result, f"[{peer.paper}]({peer.address}), {peer.venue}") for peer in PEERS)
    return _table(("tool", "question", "reported result", "paper"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = [*head]
    return "\n".join(_lines([columns, ["---"] * len(columns), *rows]))


def _lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    # A vertical bar in a cell would end it.
    return (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
