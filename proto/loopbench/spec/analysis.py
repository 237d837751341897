"""What comparisons and diagnoses ask and say."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from loopbench.spec.base import LONGEST_LIST, Input, Model
from loopbench.spec.replay import Replay
from loopbench.spec.run import RunSpec


class Verdict(StrEnum):
    """What a comparison says of two groups of runs."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    DIVERGED = "DIVERGED"


class RunGroup(Input):
    """Runs of one specification under several seeds."""

    label: Annotated[str, Field(min_length=1, max_length=200)]
    run_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=LONGEST_LIST)]


class ComparisonRequest(Input):
    """Groups to compare; ``margin`` is the difference of accuracy that counts for nothing, a fraction."""

    groups: Annotated[tuple[RunGroup, ...], Field(min_length=2, max_length=100)]
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.005
    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05

    @field_validator("groups")
    @classmethod
    def _labels_name_one_group(cls, value: tuple[RunGroup, ...]) -> tuple[RunGroup, ...]:
        labels = [group.label for group in value]
        if len(set(labels)) < len(labels):
            raise ValueError("labels of groups must be unique")
        return value


class GroupSummary(Model):
    """A group's final accuracies; the standard deviations need two seeds.

    Accuracies under ``diverged_seeds`` mean nothing.
    """

    label: str
    run_ids: tuple[str, ...]
    seeds: tuple[int, ...]
    train_accuracies: tuple[float, ...]
    validation_accuracies: tuple[float, ...]
    train_accuracy_mean: float
    validation_accuracy_mean: float
    train_accuracy_sd: float | None = None
    validation_accuracy_sd: float | None = None
    diverged_seeds: tuple[int, ...] = ()


class PairComparison(Model):
    """The verdict on two groups; ``difference`` is first minus second, final validation accuracy."""

    first_label: str
    second_label: str
    verdict: Verdict
    difference: float
    interval_low: float | None = None
    interval_high: float | None = None
    effect_size: float | None = None
    equivalence_p_value: float | None = None
    difference_p_value: float | None = None
    paired: bool
    seeds_needed: int | None = None
    explanation: str


class Comparison(Model):
    """Every group and the verdict on every pair."""

    groups: tuple[GroupSummary, ...]
    pairs: tuple[PairComparison, ...]
    margin: float
    alpha: float


class Evidence(Model):
    """A measurement that speaks for or against a cause."""

    name: str
    description: str
    expected: float | None = None
    observed: float | None = None


class Side(StrEnum):
    """One of the two that are diagnosed."""

    FIRST = "FIRST"
    SECOND = "SECOND"


class Effect(StrEnum):
    """What a cause touches, the strongest first."""

    TRAINING = "TRAINING"
    STATE = "STATE"
    REPORT = "REPORT"
    ROUNDING = "ROUNDING"


class Cause(Model):
    """Why two ways of training end, or report, differently; ``side`` is the one at fault, if one is.

    ``effect`` says whether the trained weights differ, only the predictions, only a reported metric, or nothing above
    single precision; ``consequence`` is a sentence on it.
    """

    reason: str
    title: str
    evidence: tuple[Evidence, ...]
    consequence: str
    fix: str
    side: Side | None = None
    effect: Effect = Effect.TRAINING


class Diagnosis(Model):
    """Causes, the strongest first, and the experiments that found no difference.

    ``rounding`` are differences that single precision, or a repeat of the same side, explains. ``not_tested`` says of
    each experiment that failed why it did; the other results stand. ``replay`` is what the causes were found in.

    The specifications are those of the two sides, as diagnosed and with every fix applied, where specifications were
    diagnosed; a user's loop has none.
    """

    causes: tuple[Cause, ...]
    controls: tuple[Evidence, ...]
    rounding: tuple[Cause, ...] = ()
    not_tested: tuple[str, ...] = ()
    verification: Comparison | None = None
    first: RunSpec | None = None
    second: RunSpec | None = None
    fixed_first: RunSpec | None = None
    fixed_second: RunSpec | None = None
    replay: Replay = Replay()


class DiagnosisSubject(Input):
    """One side of a diagnosis: a specification, or the run that has it."""

    spec: RunSpec | None = None
    run_id: Annotated[str | None, Field(validate_default=True)] = None

    @field_validator("run_id")
    @classmethod
    def _one_source(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "spec" in info.data and (info.data["spec"] is None) == (value is None):
            raise ValueError("exactly one of spec and run_id must be set")
        return value


class DiagnosisRequest(Input):
    """Two sides; ``verify`` asks to train both with and without the fixes under ``seeds`` seeds."""

    first: DiagnosisSubject
    second: DiagnosisSubject
    verify: bool = False
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
