"""The rules that claims are checked by: each makes a claim of what was published."""

import math
from typing import Literal

from loopbench.spec import Verdict
from loopbench_client.comparing.claims import Claim, Evidence

Judgement = tuple[bool | None, str]

# Points. Four times the default margin: more than accuracies of one spec differ by from seed to seed.
FAR = 2.0
# Either side: what chance stays within in 19 cases of 20.
STANDARD_ERRORS = 2.0

ALIKE = frozenset({Verdict.IDENTICAL, Verdict.EQUIVALENT})


def half_a_unit(percent: str) -> float:
    """Half a unit of the last digit, which is what rounding takes or adds: 0.005 of ``96.86``, 0.5 of ``96``."""
    return 10.0 ** -len(percent.partition(".")[2]) / 2


def _near(ours: float, percent: str, allowed: float) -> tuple[bool, str]:
    off = ours - float(percent)
    return abs(off) <= allowed, f"{ours:.2f} % here, {off:+z.2f} points; {allowed:.3g} either way are allowed"


def figure(split: Literal["train", "validation"], percent: str) -> Claim:
    """An accuracy: ours is as near as the margin, and half a unit of the figure's last digit, for it was rounded."""

    def judge(label: str, evidence: Evidence) -> Judgement:
        ours: float = getattr(evidence.figures(label), split)
        return _near(ours, percent, evidence.margin + half_a_unit(percent))

    return Claim(f"{split} {percent} %", judge, published=True)


def sampled_metric(percent: str) -> Claim:
    """What a metric reports that counts one sample per batch: with few samples, chance exceeds the margin."""

    def judge(label: str, evidence: Evidence) -> Judgement:
        figures, share = evidence.figures(label), float(percent) / 100
        chance = 100 * STANDARD_ERRORS * math.sqrt(share * (1 - share) / figures.batches)
        holds, why = _near(figures.reported, percent, evidence.margin + half_a_unit(percent) + chance)
        return holds, f"{why}, as it counts {figures.batches:,} samples only"

    return Claim(f"the metric says {percent} %", judge, published=True)


def up_to(percent: str) -> Claim:
    """A best accuracy: the mean reaches it, or would if rounded as the figure is."""
    least = float(percent) - half_a_unit(percent)

    def judge(label: str, evidence: Evidence) -> Judgement:
        ours = evidence.figures(label).validation
        return ours >= least, f"validation {ours:.2f} % here; {least:.2f} % would do"

    return Claim(f"up to {percent} %", judge, published=True)


def metric_far() -> Claim:
    """The accuracy metric is far below what counting gives."""

    def judge(label: str, evidence: Evidence) -> Judgement:
        figures = evidence.figures(label)
        below = figures.validation - figures.reported
        return below > FAR, f"{_metric(evidence, label)}: {below:.2f} points below; far is more than {FAR:g}"

    return Claim("the metric is far below counting", judge)


def metric_right() -> Claim:
    """The accuracy metric says what counting gives, within the margin."""

    def judge(label: str, evidence: Evidence) -> Judgement:
        figures = evidence.figures(label)
        return abs(figures.reported - figures.validation) <= evidence.margin, _metric(evidence, label)

    return Claim("the metric agrees with counting", judge)


def _metric(evidence: Evidence, label: str) -> str:
    figures = evidence.figures(label)
    return f"it says {figures.reported:.2f} %, counting {figures.validation:.2f} %"


def same_as(other: str) -> Claim:
    """The verdict is that they are; where the runs do not decide, neither does this."""

    def judge(label: str, evidence: Evidence) -> Judgement:
        verdict, above = evidence.difference(label, other)
        why = f"{verdict.lower()}, {above:+z.2f} points; the margin is {evidence.margin:g}"
        return None if verdict is Verdict.INCONCLUSIVE else verdict in ALIKE, why

    return Claim(f"the same as {other!r}", judge, needs=(other,))


def better_than(other: str) -> Claim:
    """The verdict is that they differ, and this one is above; nothing less is more than chance."""

    def judge(label: str, evidence: Evidence) -> Judgement:
        verdict, above = evidence.difference(label, other)
        why = f"{verdict.lower()}, {above:+z.2f} points"
        if verdict is Verdict.INCONCLUSIVE:
            return None, f"{why}: more seeds are needed"
        return verdict is Verdict.DIFFERENT and above > 0, why

    return Claim(f"better than {other!r}", judge, needs=(other,))


def overfits_more_than(other: str) -> Claim:
    """Train minus validation accuracy is above that of the other by more than the margin: overfitting begins so."""

    def judge(label: str, evidence: Evidence) -> Judgement:
        gap, others = evidence.figures(label).gap, evidence.figures(other).gap
        why = f"train is {gap:.2f} points above validation, with {other!r} {others:.2f}"
        return gap - others > evidence.margin, f"{why}; the margin is {evidence.margin:g}"

    return Claim("close to overfitting", judge, needs=(other,))
