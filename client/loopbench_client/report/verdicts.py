"""The verdicts at one glance: how many of each, a matrix, and the sentences."""

from collections import Counter
from dataclasses import dataclass

from loopbench.spec import Comparison, PairComparison, Verdict
from loopbench_client.report.marks import Mark

# A verdict is never shown by its colour alone.
SYMBOLS: dict[Verdict, str] = {
    Verdict.IDENTICAL: "=",
    Verdict.EQUIVALENT: "≈",
    Verdict.DIFFERENT: "≠",
    Verdict.INCONCLUSIVE: "?",
    Verdict.DIVERGED: "∞",
}

MEANINGS: dict[Verdict, str] = {
    Verdict.IDENTICAL: "the same weights, bit for bit",
    Verdict.EQUIVALENT: "within the margin for certain",
    Verdict.DIFFERENT: "more than chance explains",
    Verdict.INCONCLUSIVE: "the runs do not decide",
    Verdict.DIVERGED: "NaN or infinity: no evidence",
}

# What needs a look comes first.
SENTENCES_IN_ORDER = (
    Verdict.DIVERGED,
    Verdict.DIFFERENT,
    Verdict.INCONCLUSIVE,
    Verdict.EQUIVALENT,
    Verdict.IDENTICAL,
)

# More sentences than this of one verdict are folded.
SENTENCES_SHOWN = 6


@dataclass(frozen=True)
class Pair:
    """A pair under the number that links to its sentence."""

    number: int
    found: PairComparison


@dataclass(frozen=True)
class Block:
    """All pairs of one verdict."""

    verdict: Verdict
    pairs: tuple[Pair, ...]

    @property
    def open(self) -> bool:
        """Whether the sentences are unfolded from the start."""
        return len(self.pairs) <= SENTENCES_SHOWN


@dataclass(frozen=True)
class MatrixRow:
    """A group against all groups; None where a group meets itself."""

    mark: Mark
    cells: tuple[Pair | None, ...]


def numbered(comparison: Comparison) -> tuple[Pair, ...]:
    """All pairs in their order."""
    return tuple(Pair(number, pair) for number, pair in enumerate(comparison.pairs, start=1))


def counts(comparison: Comparison) -> dict[Verdict, int]:
    """How many pairs have each verdict, those with none included."""
    found = Counter(pair.verdict for pair in comparison.pairs)
    return {verdict: found[verdict] for verdict in Verdict}


def blocks(pairs: tuple[Pair, ...]) -> tuple[Block, ...]:
    """The pairs by verdict; a verdict that no pair has is left out."""
    made = (Block(verdict, tuple(p for p in pairs if p.found.verdict is verdict)) for verdict in SENTENCES_IN_ORDER)
    return tuple(block for block in made if block.pairs)


def matrix(pairs: tuple[Pair, ...], marks: dict[str, Mark]) -> tuple[MatrixRow, ...]:
    """A row and a column a group."""
    known = {frozenset((pair.found.first_label, pair.found.second_label)): pair for pair in pairs}
    return tuple(
        MatrixRow(mark, tuple(known.get(frozenset((mark.label, other))) for other in marks)) for mark in marks.values()
    )
