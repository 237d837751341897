"""The scoreboard as a page of ``docs/``."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from scripts.scoreboard.peers import PEERS
from scripts.scoreboard.result import Result
from scripts.scoreboard.singles import singles
from scripts.scoreboard.tables import codes, table
from scripts.scoreboard.verdicts import MEANINGS, Verdict

HEADER = """# Scoreboard of the diagnosis

`make scoreboard` writes this page. It diagnoses small Keras programs and, if there is one, the
repaired version of each. `tests/diagnose/published` rebuilds faults of public threads.
`tests/diagnose/variants` has the same kinds of faults in other models, losses, optimizers and styles;
an author who had not seen the diagnosis wrote them. `tests/diagnose/programs` has single programs:
rebuilt ones of published benchmarks, and sound scripts. `labels.py` beside the cases lists the causes
that each case must report."""

CAVEAT = """## What other tools report

These results are those of the tools' authors, on other programs. They answer a different question:
most of them judge *one* program by learned patterns or by rules. loopbench compares *two* programs,
explains by experiment why they differ, and needs a correct side. So the numbers are no ranking."""


def page(results: Sequence[Result]) -> str:
    """The whole page."""
    sections = (
        HEADER,
        _summary(results),
        _kinds(results),
        _meanings(),
        singles(results),
        _cases(results),
        CAVEAT,
        _peers(),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def _summary(results: Sequence[Result]) -> str:
    hits = sum(result.verdict is Verdict.HIT for result in results)
    seconds = [result.answer.seconds for result in results]
    times = f"\nOne diagnosis takes {median(seconds):.0f} s (median), at most {max(seconds):.0f} s." if seconds else ""
    failed = sum(bool(result.answer.failed) for result in results)
    return f"**{hits} of {len(results)} diagnoses are right.** An experiment failed in {failed} of them.{times}"


def _kinds(results: Sequence[Result]) -> str:
    kinds = {result.case.label.kind: None for result in results}
    counted = {kind: _counts(result for result in results if result.case.label.kind == kind) for kind in kinds}
    rows = [*sorted(counted.items()), ("**all**", _counts(results))]
    return table(
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
            codes(result.case.label.needed) or "none",
            result.answer.error or codes(result.answer.reasons) or "none",
            result.verdict,
            result.case.label.source,
        )
        for result in results
    )
    return "## Every case\n\n" + table(("case", "kind", "causes", "reported", "verdict", "source"), rows)


def _peers() -> str:
    rows = ((peer.name, peer.question, peer.result, f"[{peer.paper}]({peer.address}), {peer.venue}") for peer in PEERS)
    return table(("tool", "question", "reported result", "paper"), rows)
