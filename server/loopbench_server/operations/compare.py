"""Groups of runs against each other: a summary a group, and a verdict a pair."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from loopbench.spec import Comparison, Divergence, GroupSummary, PairComparison, Run, Verdict
from loopbench_server.operations.statistics import MOST_SEEDS, Difference, holm, paired, seeds_that_decide, unpaired

# What two groups ended in: their seeds and digests.
Question = frozenset[tuple[tuple[int, str], ...]]

# Seeds that diverged and are named in a sentence with where they did; there may be a thousand.
MOST_NAMED = 3
# Below this no spread is known, and no test possible.
FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Group:
    """Runs that SUCCEEDED, of one specification under different seeds."""

    label: str
    runs: tuple[Run, ...]

    @cached_property
    def by_seed(self) -> dict[int, Run]:
        """The runs, by seed, in the order of the seeds."""
        return {run.spec.seed: run for run in sorted(self.runs, key=lambda run: run.spec.seed)}

    def accuracies(self, split: str, seeds: Iterable[int] | None = None) -> tuple[float, ...]:
        """Final accuracies on ``split``, train or validation, under ``seeds``, or under all in their order."""
        wanted = self.by_seed if seeds is None else seeds
        return tuple(getattr(self.by_seed[seed].result, split).accuracy for seed in wanted)

    def digests(self) -> dict[int, str]:
        """Weights digest by seed."""
        return {seed: run.result.weights_digest for seed, run in self.by_seed.items() if run.result}

    @cached_property
    def diverged(self) -> dict[int, Divergence]:
        """Where the runs diverged that did, by seed."""
        results = {seed: run.result for seed, run in self.by_seed.items()}
        return {seed: result.diverged for seed, result in results.items() if result and result.diverged}


def compare(groups: Sequence[Group], margin: float, alpha: float) -> Comparison:
    """All groups and all pairs.

    Args:
        groups: at least two, each with at least one run.
        margin: differences of final validation accuracy within it count as none; a fraction.
        alpha: chance of a false verdict, over all pairs together.
    """
    pairs = [Pair(*pair) for pair in combinations(groups, 2)]
    questions = _questions(pairs, margin)
    judge = Judge(margin, alpha, max(1, len(questions)))
    return Comparison(
        groups=tuple(map(_summary, groups)),
        pairs=tuple(_judged(pair, judge, questions) for pair in pairs),
        margin=margin,
        alpha=alpha,
    )


@dataclass(frozen=True)
class Pair:
    """Two groups that are compared."""

    first: Group
    second: Group

    @cached_property
    def shared(self) -> tuple[int, ...]:
        """The seeds that both have."""
        return tuple(seed for seed in self.first.by_seed if seed in self.second.by_seed)

    @property
    def paired(self) -> bool:
        """Whether the runs are paired by seed; those of other seeds are left out then."""
        return len(self.shared) >= FEWEST_SEEDS

    @cached_property
    def difference(self) -> Difference | None:
        """None where a group is too small to have a spread."""
        first, second = self.first, self.second
        if not self.paired and min(len(first.by_seed), len(second.by_seed)) < FEWEST_SEEDS:
            return None
        test, seeds = (paired, self.shared) if self.paired else (unpaired, None)
        return test(first.accuracies("validation", seeds), second.accuracies("validation", seeds), self._step)

    @property
    def _step(self) -> float:
        """The smallest difference that two accuracies can have: a sample."""
        return max(1 / run.result.validation.samples for run in self.first.runs + self.second.runs if run.result)

    @property
    def diverged(self) -> bool:
        """Whether a run of either group did: whatever else the runs show is no evidence then."""
        return bool(self.first.diverged or self.second.diverged)

    @cached_property
    def identical(self) -> bool:
        """Whether the weights are the same for every seed that both have, which is all that the smaller one has."""
        first, second = self.first.digests(), self.second.digests()
        whole = len(self.shared) == min(len(first), len(second))
        return whole and all(first[seed] == second[seed] for seed in self.shared)

    @property
    def question(self) -> Question:
        """Pairs of the same weights ask the same question."""
        return frozenset(tuple(group.digests().items()) for group in (self.first, self.second))


def _questions(pairs: Sequence[Pair], margin: float) -> dict[Question, tuple[float, float]]:
    """The p-values of difference and equivalence, corrected for as many questions as there are.

    Bit-identical groups are no matter of chance: neither they nor the repetition of a question among them counts.
    Nothing is asked of groups that diverged.
    """
    counted = [pair for pair in pairs if not (pair.identical or pair.diverged)]
    asked = {pair.question: pair.difference for pair in counted if pair.difference}
    different = holm([difference.difference_p_value() for difference in asked.values()])
    equivalent = holm([difference.equivalence_p_value(margin) for difference in asked.values()])
    return dict(zip(asked, zip(different, equivalent, strict=True), strict=True))


def _p_values(
    pair: Pair, difference: Difference, margin: float, questions: Mapping[Question, tuple[float, float]]
) -> tuple[float, float]:
    if pair.identical:
        return difference.difference_p_value(), difference.equivalence_p_value(margin)
    return questions[pair.question]


def _judged(pair: Pair, judge: "Judge", questions: Mapping[Question, tuple[float, float]]) -> PairComparison:
    if pair.diverged:
        return judge.of_diverged(pair)
    if pair.difference is None:
        return judge.without_seeds(pair)
    return judge.with_seeds(pair, pair.difference, *_p_values(pair, pair.difference, judge.margin, questions))


def _summary(group: Group) -> GroupSummary:
    figures: dict[str, object] = {}
    for split in ("train", "validation"):
        accuracies = group.accuracies(split)
        figures[f"{split}_accuracies"] = accuracies
        figures[f"{split}_accuracy_mean"] = float(np.mean(accuracies))
        if len(accuracies) >= FEWEST_SEEDS:
            figures[f"{split}_accuracy_sd"] = float(np.std(accuracies, ddof=1))
    return GroupSummary.model_validate(
        {
            "label": group.label,
            "run_ids": tuple(run.id for run in group.by_seed.values()),
            "seeds": tuple(group.by_seed),
            "diverged_seeds": tuple(group.diverged),
            **figures,
        }
    )


def _of_diverged(group: Group) -> str:
    """Which runs of a group diverged, and where: ``a diverged under 1 of 3 seeds (seed 5: epoch 1, step 3)``."""
    told, found = f"{group.label} diverged under", group.diverged
    if not found:
        return f"{told} none of {len(group.by_seed)}"
    places = [f"seed {seed}: {place}" for seed, place in found.items()]
    more = [f"{len(places) - MOST_NAMED:,} more"] if len(places) > MOST_NAMED else []
    seeds = "seed" if len(group.by_seed) == 1 else "seeds"
    return f"{told} {len(found)} of {len(group.by_seed)} {seeds} ({'; '.join(places[:MOST_NAMED] + more)})"


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.2f} points"


def _mean_difference(pair: Pair) -> float:
    means = [float(np.mean(group.accuracies("validation"))) for group in (pair.first, pair.second)]
    return means[0] - means[1]


@dataclass(frozen=True)
class Judge:
    """Turns figures into a verdict with a sentence; ``tests`` is how many pairs share ``alpha``."""

    margin: float
    alpha: float
    tests: int

    def of_diverged(self, pair: Pair) -> PairComparison:
        """Of groups of which one has a run that diverged: the same bits, or accuracies, would say nothing."""
        first, second = pair.first, pair.second
        return PairComparison(
            first_label=first.label,
            second_label=second.label,
            verdict=Verdict.DIVERGED,
            difference=_mean_difference(pair),
            paired=pair.paired,
            explanation=f"{_of_diverged(first)}, {_of_diverged(second)}. Weights or figures that are NaN or infinite "
            "are no evidence: lower the learning rate, or leave these seeds out.",
        )

    def without_seeds(self, pair: Pair) -> PairComparison:
        """Of groups of which one has a single seed: the same bits, or nothing can be said."""
        first, second = pair.first, pair.second
        difference = _mean_difference(pair)
        verdict, explanation = (
            Verdict.INCONCLUSIVE,
            (
                f"The difference is {_points(difference)}. One seed has no spread, so whether that is chance cannot be "
                f"said: run each group with {FEWEST_SEEDS} seeds at the least."
            ),
        )
        if pair.identical:
            verdict, explanation = Verdict.IDENTICAL, "The final weights are the same, bit for bit, for the one seed."
        return PairComparison(
            first_label=first.label,
            second_label=second.label,
            verdict=verdict,
            difference=difference,
            paired=pair.paired,
            seeds_needed=FEWEST_SEEDS - 1 if verdict is Verdict.INCONCLUSIVE else None,
            explanation=explanation,
        )

    def with_seeds(
        self, pair: Pair, difference: Difference, difference_p: float, equivalence_p: float
    ) -> PairComparison:
        """Of groups with a spread; the p-values are corrected already."""
        first, second = pair.first, pair.second
        low, high = difference.interval(self.alpha)
        verdict, needed = self._verdict(pair, difference, difference_p, equivalence_p)
        return PairComparison(
            first_label=first.label,
            second_label=second.label,
            verdict=verdict,
            difference=difference.mean,
            interval_low=low,
            interval_high=high,
            effect_size=difference.effect_size,
            equivalence_p_value=equivalence_p,
            difference_p_value=difference_p,
            paired=pair.paired,
            seeds_needed=needed,
            explanation=self._explanation(verdict, pair, difference, needed),
        )

    def _verdict(
        self, pair: Pair, difference: Difference, difference_p: float, equivalence_p: float
    ) -> tuple[Verdict, int | None]:
        if pair.identical:
            return Verdict.IDENTICAL, None
        # A difference that is certain and yet within the margin is one that does not matter.
        if equivalence_p < self.alpha:
            return Verdict.EQUIVALENT, None
        if difference_p < self.alpha:
            return Verdict.DIFFERENT, None
        seeds = len(pair.shared) if pair.paired else min(len(pair.first.by_seed), len(pair.second.by_seed))
        return Verdict.INCONCLUSIVE, seeds_that_decide(difference, seeds, self.margin, self.alpha / self.tests)

    def _explanation(self, verdict: Verdict, pair: Pair, difference: Difference, needed: int | None) -> str:
        low, high = difference.interval(self.alpha)
        figures = f"{_points(difference.mean)}, {100 * (1 - self.alpha):g} % interval {_points(low)} to {_points(high)}"
        more = f"{needed} more seeds a group would probably decide" if needed else f"nor would {MOST_SEEDS:,} seeds"
        return {
            Verdict.IDENTICAL: f"The final weights are the same, bit for bit, for all {len(pair.shared)} seeds.",
            Verdict.EQUIVALENT: f"The difference is within {100 * self.margin:g} points: {figures}.",
            Verdict.DIFFERENT: f"The difference is more than chance explains: {figures}.",
            Verdict.INCONCLUSIVE: f"The runs there are do not decide: {figures}; {more}.",
        }[verdict]
