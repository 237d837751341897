"""Hand-made reports with figures that a test can verify."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from loopbench.spec import (
    Cause,
    ClassMetrics,
    Comparison,
    Dataset,
    Diagnosis,
    Evidence,
    FinalMetrics,
    GroupSummary,
    Loss,
    Method,
    PairComparison,
    Phases,
    ReportedMetrics,
    Run,
    RunSpec,
    RunState,
    Side,
    Verdict,
)
from loopbench_client.report import Report
from tests.support import factories
from tests.support.factories import make_environment, make_epoch, make_result
from tests.support.replays import make_replay

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ENVIRONMENT = make_environment(device_name="one core", cpu_model="a processor", platform="Linux", source_revision="abc")

# Accuracies are counted on this many samples.
SAMPLES = 1_000


@dataclass(frozen=True)
class ClaimOutcome:
    """A claim as the report expects it."""

    label: str = "tape"
    his_figure: str = "92 % / 93 %"
    claim: str = "validation 93 %"
    holds: bool | None = False
    reason: str = "90.00 % here"


def make_run(spec: RunSpec, accuracy: float, losses: Sequence[float], **fields: Any) -> Run:
    """A run that SUCCEEDED; every epoch reports an accuracy a tenth of a point below the final one."""
    correct = round(SAMPLES * accuracy)
    final = FinalMetrics(
        loss=losses[-1], accuracy=accuracy, correct=correct, samples=SAMPLES, classes=make_classes(correct)
    )
    history = tuple(
        make_epoch(
            epoch,
            train=ReportedMetrics(loss=loss, accuracy=accuracy - 0.001),
            validation=ReportedMetrics(loss=2 * loss, accuracy=accuracy - 0.001),
            train_seconds=1,
            examples_per_second=SAMPLES,
            samples=SAMPLES,
        )
        for epoch, loss in enumerate(losses, start=1)
    )
    known: dict[str, Any] = {
        "dataset": spec.dataset,
        "train": final,
        "validation": final,
        "reported_train": history[-1].train,
        "reported_validation": history[-1].validation,
        "history": history,
        "weights_digest": f"{spec.seed:064x}",
        "updates": 32 * len(losses),
        "phases": Phases(train_seconds=2.5),
        "environment": ENVIRONMENT,
    }
    return factories.make_run(
        id=f"run-{spec.method}-{spec.seed}".lower(),
        spec=spec,
        state=RunState.SUCCEEDED,
        create_time=CREATED,
        result=make_result(**known | fields),
    )


def make_classes(correct: int) -> tuple[ClassMetrics, ...]:
    """A hundred samples of each class, the correct ones evenly; all others count as the next class."""

    def row(label: int) -> ClassMetrics:
        right = correct // 10 + (label < correct % 10)
        counts = {label: right, (label + 1) % 10: SAMPLES // 10 - right}
        return ClassMetrics(predicted=tuple(counts.get(predicted, 0) for predicted in range(10)), accuracy=right / 100)

    return tuple(map(row, range(10)))


def make_group(
    method: Method, accuracies: Sequence[float], losses: Sequence[float] = (0.4, 0.2), **fields: Any
) -> tuple[Run, ...]:
    """A group with one run per accuracy; each seed's losses are a tenth above the previous seed's."""
    specs = [RunSpec(method=method, dataset=Dataset.DIGITS, epochs=len(losses), seed=s) for s in range(len(accuracies))]
    return tuple(
        make_run(spec, accuracy, [loss * (1 + spec.seed / 10) for loss in losses], **fields)
        for spec, accuracy in zip(specs, accuracies, strict=True)
    )


def _summary(label: str, runs: Sequence[Run]) -> GroupSummary:
    accuracies = tuple(run.result.validation.accuracy for run in runs if run.result)
    spread = stdev(accuracies) if len(accuracies) > 1 else None
    return GroupSummary(
        label=label,
        run_ids=tuple(run.id for run in runs),
        seeds=tuple(run.spec.seed for run in runs),
        train_accuracies=accuracies,
        validation_accuracies=accuracies,
        train_accuracy_mean=fmean(accuracies),
        validation_accuracy_mean=fmean(accuracies),
        train_accuracy_sd=spread,
        validation_accuracy_sd=spread,
    )


def _pair(first: GroupSummary, second: GroupSummary, verdict: Verdict) -> PairComparison:
    difference = first.validation_accuracy_mean - second.validation_accuracy_mean
    many = len(first.seeds) > 1
    return PairComparison(
        first_label=first.label,
        second_label=second.label,
        verdict=verdict,
        difference=difference,
        interval_low=difference - 0.01 if many else None,
        interval_high=difference + 0.01 if many else None,
        paired=True,
        explanation=f"Of {first.label} and {second.label}.",
    )


def make_report(groups: Mapping[str, tuple[Run, ...]], verdict: Verdict = Verdict.DIFFERENT, **fields: Any) -> Report:
    """A report of these groups, with the same verdict on every pair."""
    summaries = tuple(_summary(label, runs) for label, runs in groups.items())
    pairs = tuple(_pair(first, second, verdict) for first, second in combinations(summaries, 2))
    known: dict[str, Any] = {
        "title": "A title",
        "comparison": Comparison(groups=summaries, pairs=pairs, margin=0.005, alpha=0.05),
        "specs": {label: runs[0].spec for label, runs in groups.items()},
        "runs": groups,
        "created": CREATED,
    }
    return Report(**known | fields)


def two_groups() -> dict[str, tuple[Run, ...]]:
    """89, 90 and 91 % against 94, 95 and 96 %."""
    return {
        "tape": make_group(Method.GRADIENT_TAPE, (0.89, 0.90, 0.91)),
        "fit": make_group(Method.FIT, (0.94, 0.95, 0.96), losses=(0.04, 0.02)),
    }


def many_groups(number: int) -> dict[str, tuple[Run, ...]]:
    """Groups under long names, a point apart."""
    methods = [*Method]
    losses = [0.5 / epoch for epoch in range(1, 31)]
    return {
        f"group {n} with quite a long name": make_group(methods[n % 3], (0.80 + n / 100, 0.801 + n / 100), losses)
        for n in range(1, number + 1)
    }


def make_diagnosis(text: str = "") -> Diagnosis:
    """A diagnosis with a cause on the second side and ``text`` in every text field."""
    evidence = Evidence(name=f"ratio{text}", description=f"a ratio{text}", expected=1, observed=10)
    control = Evidence(name=f"repeated{text}", description=f"the same twice{text}", observed=math.nan)
    words = {"reason": "LOSS_REDUCTION", "title": f"a mean{text}", "consequence": f"smaller{text}", "fix": f"sum{text}"}
    spec = RunSpec(loss=Loss.MEAN_SQUARED_ERROR)
    return Diagnosis(
        causes=(Cause(**words, evidence=(evidence,), side=Side.SECOND),),
        controls=(control,),
        verification=make_report(two_groups(), Verdict.IDENTICAL).comparison,
        replay=make_replay(text),
        second=spec,
        fixed_second=spec.model_copy(update={"loss": Loss.SUM_OF_SQUARES}),
    )


def whole_report(text: str = "") -> Report:
    """A report with every section; ``text`` is in every value that comes from outside."""
    first, second = two_groups().values()
    tape, fit = f"tape{text}", f"fit{text}"
    return make_report(
        {tape: first, fit: second, f"train-step{text}": make_group(Method.CUSTOM_TRAIN_STEP, (0.9, 0.91, 0.92))},
        title=f"A title{text}",
        preset=f"article{text}",
        claims=(ClaimOutcome(tape, f"92 %{text}", f"93 %{text}", None, f"too few{text}"), ClaimOutcome(tape)),
        failures=(f"a run failed{text}",),
        diagnoses={(tape, fit): make_diagnosis(text), (fit, f"train-step{text}"): f"not diagnosed{text}"},
    )


# Of length 5.
SKETCH = (3.0, 0.0, 4.0)


def make_sketched(run: Run, *sketches: Sequence[float], **spec: Any) -> Run:
    """The run with one of these sketches after each epoch."""
    assert run.result is not None
    history = tuple(
        epoch.model_copy(update={"weights_sketch": tuple(sketch)})
        for epoch, sketch in zip(run.result.history, sketches, strict=True)
    )
    return run.model_copy(
        update={
            "result": run.result.model_copy(update={"history": history}),
            "spec": run.spec.model_copy(update=spec),
        }
    )


def make_sketched_group(method: Method, *sketches: Sequence[Sequence[float]]) -> tuple[Run, ...]:
    """A run per argument, which has the sketches of its two epochs."""
    runs = make_group(method, [0.9] * len(sketches))
    return tuple(make_sketched(run, *own) for run, own in zip(runs, sketches, strict=True))


def sketched_report() -> Report:
    """The first and the third group with the same weights, the second at a growing distance."""
    tape = make_sketched_group(Method.GRADIENT_TAPE, (SKETCH, SKETCH), (SKETCH, SKETCH))
    # Half a unit away at the first epoch, one and two units at the second.
    fit = make_sketched_group(Method.FIT, ((3, 0.5, 4), (3, 1, 4)), ((3, 0.5, 4), (3, 0, 6)))
    step = make_sketched_group(Method.CUSTOM_TRAIN_STEP, (SKETCH, SKETCH))
    return make_report({"tape": tape, "fit": fit, "step": step})
