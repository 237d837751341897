"""Compares groups of runs: a summary per group, and a verdict per pair."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from loopbench.spec import Comparison, Divergence, GroupSummary, PairComparison, Run, Verdict
from loopbench.text import counted
from loopbench_server.operations.statistics import MAX_SEEDS, Difference, holm, paired, seeds_that_decide, unpaired

# Seeds and digests of two groups: pairs with the same weights test the same hypothesis.
Hypothesis = frozenset[tuple[tuple[int, str], ...]]

# Diverged seeds that a sentence names with their places; there may be a thousand.
MAX_NAMED = 3
# Fewer seeds have no spread and allow no test.
MIN_SEEDS = 2


@dataclass(frozen=True)
class Group:
    """Runs that SUCCEEDED, of one specification under different seeds."""

    label: str
    runs: tuple[Run, ...]

    @cached_property
    def by_seed(self) -> dict[int, Run]:
        """Runs by seed, in order of the seeds."""
        return {run.spec.seed: run for run in sorted(self.runs, key=lambda run: run.spec.seed)}

    def accuracies(self, split: str, seeds: Iterable[int] | None = None) -> tuple[float, ...]:
        """Final accuracies on ``split``, train or validation, under ``seeds``, or under all in their order."""
        wanted = self.by_seed if seeds is None else seeds
        return tuple(getattr(self.by_seed[seed].result, split).accuracy for seed in wanted)

    def digests(self) -> dict[int, str]:
        """Return the digest of the weights by seed."""
        return {seed: run.result.weights_digest for seed, run in self.by_seed.items() if run.result}

    @cached_property
    def diverged(self) -> dict[int, Divergence]:
        """Places of divergence by seed, of the runs that diverged."""
        results = {seed: run.result for seed, run in self.by_seed.items()}
        return {seed: result.diverged for seed, result in results.items() if result and result.diverged}


def compare(groups: Sequence[Group], margin: float, alpha: float) -> Comparison:
    """Compare all pairs of ``groups``.

    Args:
        groups: at least two, each with at least one run.
        margin: fraction; smaller differences of final validation accuracy count as none.
        alpha: chance of a false verdict, over all pairs together.
    """
    pairs = [Pair(*pair) for pair in combinations(groups, 2)]
    p_values = _test_hypotheses(pairs, margin)
    judge = Judge(margin, alpha, max(1, len(p_values)))
    return Comparison(
        groups=tuple(map(_summary, groups)),
        pairs=tuple(_judge(pair, judge, p_values) for pair in pairs),
        margin=margin,
        alpha=alpha,
    )


@dataclass(frozen=True)
class Pair:
    """Two groups to compare."""

    first: Group
    second: Group

    @cached_property
    def shared(self) -> tuple[int, ...]:
        """Seeds that both groups have."""
        return tuple(seed for seed in self.first.by_seed if seed in self.second.by_seed)

    @property
    def paired(self) -> bool:
        """Whether runs are paired by seed; runs of other seeds are then left out."""
        return len(self.shared) >= MIN_SEEDS

    @cached_property
    def difference(self) -> Difference | None:
        """Difference of the accuracies, or None where a group is too small to have a spread."""
        first, second = self.first, self.second
        if not self.paired and min(len(first.by_seed), len(second.by_seed)) < MIN_SEEDS:
            return None
        test, seeds = (paired, self.shared) if self.paired else (unpaired, None)
        return test(first.accuracies("validation", seeds), second.accuracies("validation", seeds), self._step)

    @property
    def _step(self) -> float:
        """Smallest possible difference of two accuracies: one sample."""
        return max(1 / run.result.validation.samples for run in self.first.runs + self.second.runs if run.result)

    @property
    def diverged(self) -> bool:
        """Whether a run of either group diverged; nothing else that the runs show is then evidence."""
        return bool(self.first.diverged or self.second.diverged)

    @cached_property
    def identical(self) -> bool:
        """Whether the weights are the same for every shared seed, and all seeds of the smaller group are shared."""
        first, second = self.first.digests(), self.second.digests()
        whole = len(self.shared) == min(len(first), len(second))
        return whole and all(first[seed] == second[seed] for seed in self.shared)

    @property
    def hypothesis(self) -> Hypothesis:
        """Key of the tested hypothesis, which is the same for pairs of the same weights."""
        return frozenset(tuple(group.digests().items()) for group in (self.first, self.second))


def _test_hypotheses(pairs: Sequence[Pair], margin: float) -> dict[Hypothesis, tuple[float, float]]:
    """Return the p-values of difference and equivalence, corrected for the number of hypotheses.

    Identical groups are not a matter of chance: neither they nor repetitions of a hypothesis count. Groups that
    diverged are not tested.
    """
    counted = [pair for pair in pairs if not (pair.identical or pair.diverged)]
    asked = {pair.hypothesis: pair.difference for pair in counted if pair.difference}
    different = holm([difference.difference_p_value() for difference in asked.values()])
    equivalent = holm([difference.equivalence_p_value(margin) for difference in asked.values()])
    return dict(zip(asked, zip(different, equivalent, strict=True), strict=True))


def _p_values(
    pair: Pair, difference: Difference, margin: float, p_values: Mapping[Hypothesis, tuple[float, float]]
) -> tuple[float, float]:
    if pair.identical:
        return difference.difference_p_value(), difference.equivalence_p_value(margin)
    return p_values[pair.hypothesis]


def _judge(pair: Pair, judge: "Judge", p_values: Mapping[Hypothesis, tuple[float, float]]) -> PairComparison:
    if pair.diverged:
        return judge.judge_diverged(pair)
    if pair.difference is None:
        return judge.judge_single_seed(pair)
    return judge.judge_seeds(pair, pair.difference, *_p_values(pair, pair.difference, judge.margin, p_values))


def _summary(group: Group) -> GroupSummary:
    figures: dict[str, object] = {}
    for split in ("train", "validation"):
        accuracies = group.accuracies(split)
        figures[f"{split}_accuracies"] = accuracies
        figures[f"{split}_accuracy_mean"] = float(np.mean(accuracies))
        if len(accuracies) >= MIN_SEEDS:
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


def _describe_divergence(group: Group) -> str:
    """Return which runs of a group diverged, and where: ``a diverged under 1 of 3 seeds (seed 5: epoch 1, step 3)``."""
    start, found = f"{group.label} diverged under", group.diverged
    if not found:
        return f"{start} none of {len(group.by_seed)}"
    places = [f"seed {seed}: {place}" for seed, place in found.items()]
    more = [f"{len(places) - MAX_NAMED:,} more"] if len(places) > MAX_NAMED else []
    seeds = "seed" if len(group.by_seed) == 1 else "seeds"
    return f"{start} {len(found)} of {len(group.by_seed)} {seeds} ({'; '.join(places[:MAX_NAMED] + more)})"


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.2f} points"


def _mean_difference(pair: Pair) -> float:
    means = [float(np.mean(group.accuracies("validation"))) for group in (pair.first, pair.second)]
    return means[0] - means[1]


@dataclass(frozen=True)
class Judge:
    """Turns statistics into a verdict with an explanation; ``tests`` hypotheses share ``alpha``."""

    margin: float
    alpha: float
    tests: int

    def judge_diverged(self, pair: Pair) -> PairComparison:
        """Judge a pair in which a run diverged: neither equal bits nor accuracies are evidence."""
        first, second = pair.first, pair.second
        return PairComparison(
            first_label=first.label,
            second_label=second.label,
            verdict=Verdict.DIVERGED,
            difference=_mean_difference(pair),
            paired=pair.paired,
            explanation=f"{_describe_divergence(first)}, {_describe_divergence(second)}. Weights or figures that are "
            "NaN or infinite are no evidence: lower the learning rate, or leave these seeds out.",
        )

    def judge_single_seed(self, pair: Pair) -> PairComparison:
        """Judge a pair in which a group has a single seed: only equal bits give a verdict."""
        first, second = pair.first, pair.second
        difference = _mean_difference(pair)
        verdict, explanation = (
            Verdict.INCONCLUSIVE,
            (
                f"The difference is {_points(difference)}. One seed has no spread, so whether that is chance cannot be "
                f"said: run each group with {MIN_SEEDS} seeds at the least."
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
            seeds_needed=MIN_SEEDS - 1 if verdict is Verdict.INCONCLUSIVE else None,
            explanation=explanation,
        )

    def judge_seeds(
        self, pair: Pair, difference: Difference, difference_p: float, equivalence_p: float
    ) -> PairComparison:
        """Judge a pair with a spread; the p-values are already corrected."""
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
            explanation=self._explanation(verdict, pair, difference, difference_p, needed),
        )

    def _verdict(
        self, pair: Pair, difference: Difference, difference_p: float, equivalence_p: float
    ) -> tuple[Verdict, int | None]:
        if pair.identical:
            return Verdict.IDENTICAL, None
        # A difference that is significant and within the margin does not matter.
        if equivalence_p < self.alpha:
            return Verdict.EQUIVALENT, None
        if difference_p < self.alpha:
            return Verdict.DIFFERENT, None
        seeds = len(pair.shared) if pair.paired else min(len(pair.first.by_seed), len(pair.second.by_seed))
        return Verdict.INCONCLUSIVE, seeds_that_decide(difference, seeds, self.margin, self.alpha / self.tests)

    def _explanation(
        self, verdict: Verdict, pair: Pair, difference: Difference, difference_p: float, needed: int | None
    ) -> str:
        low, high = difference.interval(self.alpha)
        figures = f"{_points(difference.mean)}, {100 * (1 - self.alpha):g} % interval {_points(low)} to {_points(high)}"
        more = (
            f"{counted(needed, 'more seed')} a group would probably decide"
            if needed
            else f"nor would {MAX_SEEDS:,} seeds"
        )
        # The interval is of this pair alone and can exclude 0, although the corrected p-value is above alpha.
        corrected = (
            f"; p is {difference_p:.2g} after Holm's correction for {self.tests} pairs" if low * high > 0 else ""
        )
        return {
            Verdict.IDENTICAL: f"The final weights are the same, bit for bit, for all {len(pair.shared)} seeds.",
            Verdict.EQUIVALENT: f"The difference is within {100 * self.margin:g} points: {figures}.",
            Verdict.DIFFERENT: f"The difference is more than chance explains: {figures}.",
            Verdict.INCONCLUSIVE: f"The existing runs do not decide: {figures}{corrected}; {more}.",
        }[verdict]
