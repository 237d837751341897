"""Verdicts as people read them: a sentence a pair; where there are many, a table in which what is identical is one."""

from collections.abc import Iterable

from loopbench.spec import Comparison, PairComparison, Verdict
from loopbench.text import figure, kebab
from loopbench_client.cli.output import out
from loopbench_client.cli.plain_table import PlainTable
from loopbench_client.cli.tables import table

# Pairs of three groups: what can be read as sentences.
MOST_SENTENCES = 3
ALIKE_NOTE = "(+N): this group and N more that are identical to it, bit for bit"
P_NOTE = (
    "p: of the difference, with Holm's correction for the number of pairs; below {} it is more than chance. "
    "The intervals are each of one pair, without a correction."
)
# Smaller ones differ in nothing that a reader needs.
LEAST_P = 0.0001


def print_verdicts(comparison: Comparison) -> None:
    """The verdict on every pair."""
    console = out()
    if len(comparison.pairs) <= MOST_SENTENCES:
        for pair in comparison.pairs:
            words = f"{pair.first_label} and {pair.second_label}: {kebab(pair.verdict)}. {pair.explanation}"
            console.print(words, soft_wrap=True)
        return
    alike = identical(comparison)
    for labels in alike.values():
        if len(labels) > 1:
            console.print(f"identical, bit for bit: {', '.join(labels)}", soft_wrap=True)
    rows = [*_rows(comparison, alike)]
    if not rows:
        return
    console.print(_verdict_table(rows, comparison.alpha))
    if len(alike) < len(comparison.groups):
        console.print(ALIKE_NOTE, soft_wrap=True)
    if any(pair.difference_p_value is not None for pair in comparison.pairs):
        console.print(P_NOTE.format(figure(comparison.alpha)), soft_wrap=True)


def identical(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    """The groups whose weights are the same bit for bit, by the first of them; a group alone is there too."""
    first_of: dict[str, str] = {}
    same = {frozenset((p.first_label, p.second_label)) for p in comparison.pairs if p.verdict is Verdict.IDENTICAL}
    alike: dict[str, tuple[str, ...]] = {}
    for group in comparison.groups:
        known = (first for first in alike if frozenset((first, group.label)) in same)
        first = first_of[group.label] = next(known, group.label)
        alike[first] = (*alike.get(first, ()), group.label)
    return alike


def _rows(comparison: Comparison, alike: dict[str, tuple[str, ...]]) -> Iterable[tuple[str, ...]]:
    """A row for each two that are not identical; pairs that say the same of the same two have one."""
    places = {label: place for place, labels in enumerate(alike.values()) for label in labels}
    names = [labels[0] + (f" (+{len(labels) - 1})" if len(labels) > 1 else "") for labels in alike.values()]
    rows: dict[tuple[str, ...], None] = {}
    for pair in comparison.pairs:
        if pair.verdict is Verdict.IDENTICAL:
            continue
        first, second = places[pair.first_label], places[pair.second_label]
        sign = 1 if first <= second else -1
        ends = sorted((first, second))
        rows[names[ends[0]], names[ends[1]], *figures(pair, sign)] = None
    return rows


def figures(pair: PairComparison, sign: int = 1) -> tuple[str, ...]:
    """Verdict, difference, interval, p-value and needed seeds; ``sign`` is -1 to show second minus first."""
    interval = ""
    if pair.interval_low is not None and pair.interval_high is not None:
        low, high = sorted(100 * sign * end for end in (pair.interval_low, pair.interval_high))
        interval = f"{low:+z.2f} to {high:+z.2f}"
    needed = "" if pair.seeds_needed is None else f"{pair.seeds_needed:,}"
    difference = "" if pair.verdict is Verdict.DIVERGED else f"{100 * sign * pair.difference:+z.2f}"
    return kebab(pair.verdict), difference, interval, _p_value(pair.difference_p_value), needed


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return f"< {LEAST_P}" if value < LEAST_P else f"{value:.2g}"


def _verdict_table(rows: Iterable[tuple[str, ...]], alpha: float) -> PlainTable:
    return table("first", "second", *figure_columns(alpha), rows=rows, words=3)


def figure_columns(alpha: float) -> tuple[str, ...]:
    """Titles of :func:`figures` at the significance level ``alpha``."""
    return "verdict", "points", f"{100 * (1 - alpha):g} % interval", "p", "more seeds"
