"""Claims about groups, and what the results say of them; the rules are in :mod:`loopbench_client.comparing.rules`.

Accuracies are in percent here, and differences in points, because that is how claims are written.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from loopbench.spec import RunSpec, Verdict
from loopbench_client.comparing.compared import Compared

NOT_COMPARABLE = "not comparable: other data or another training"


@dataclass(frozen=True)
class ClaimOutcome:
    """Whether a claim holds, and the figures that say so; ``holds`` is None where the runs do not decide."""

    label: str
    his_figure: str
    claim: str
    holds: bool | None
    reason: str


@dataclass(frozen=True)
class Figures:
    """Means of a group: final accuracies, and the validation accuracy that its loops reported.

    ``batches`` is how many a validation takes.
    """

    train: float
    validation: float
    reported: float
    batches: int

    @property
    def gap(self) -> float:
        """By how much more the training set is known than what was never seen."""
        return self.train - self.validation


class Evidence:
    """Results as claims need them. To be asked for no group without results."""

    def __init__(self, compared: Compared) -> None:
        assert compared.comparison is not None, "without a comparison no group has results"
        self._compared = compared
        # The difference that counts for nothing, in points.
        self.margin = 100 * compared.comparison.margin

    def figures(self, label: str) -> Figures:
        """The group's means."""
        summary, run = self._compared.summary(label), self._compared.runs[label][0]
        assert summary is not None
        assert run.result is not None
        return Figures(
            train=100 * summary.train_accuracy_mean,
            validation=100 * summary.validation_accuracy_mean,
            reported=100 * self._compared.reported(label),
            batches=math.ceil(run.result.validation.samples / run.spec.batch_size),
        )

    def difference(self, label: str, other: str) -> tuple[Verdict, float]:
        """The verdict on the two, and by how many points ``label`` is above ``other``."""
        pair = self._compared.pair(label, other)
        assert pair is not None
        return pair.verdict, 100 * (pair.difference if pair.first_label == label else -pair.difference)


@dataclass(frozen=True)
class Claim:
    """A claim about a group, in a few words, and the rule that says whether it holds, and why.

    ``needs`` names the other group that it is about; ``published`` says that it rests on a published figure.
    """

    words: str
    judge: Callable[[str, Evidence], tuple[bool | None, str]]
    needs: tuple[str, ...] = ()
    published: bool = False


@dataclass(frozen=True)
class Row:
    """A published experiment: the spec, its figures as they were published, and what was claimed of it."""

    label: str
    spec: RunSpec
    published: str
    claims: tuple[Claim, ...]


def check_claims(rows: Iterable[Row], compared: Compared, *, comparable: bool) -> Iterator[ClaimOutcome]:
    """Every claim of every row; ``comparable`` says whether published figures may be set beside these results."""
    for row in rows:
        for claim in row.claims:
            holds, reason = _judge(row.label, claim, compared, comparable)
            yield ClaimOutcome(row.label, row.published, claim.words, holds, reason)


def _divergence(label: str, compared: Compared) -> str:
    return f"{label!r} diverged under {len(compared.diverged(label))} of {len(compared.runs[label])} seeds"


def _judge(label: str, claim: Claim, compared: Compared, comparable: bool) -> tuple[bool | None, str]:
    missing = [name for name in (label, *claim.needs) if compared.summary(name) is None]
    if missing:
        return None, f"no results of {', '.join(map(repr, missing))}"
    diverged = [name for name in dict.fromkeys((label, *claim.needs)) if compared.diverged(name)]
    if diverged:
        return None, "; ".join(_divergence(name, compared) for name in diverged)
    if claim.published and not comparable:
        return None, NOT_COMPARABLE
    return claim.judge(label, Evidence(compared))
