"""Figures of an epoch: whether they say what they seem to say."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from loopbench.spec import Cause, Effect, Evidence, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, joined, word
from loopbench_diagnose.reports import ACCURACIES, SOUND, VALIDATION, Aggregation, Figure, Reports


@dataclass(frozen=True)
class Wrong:
    """The texts of a wrong way to compute a figure."""

    reason: Reason
    effect: str
    fix: str


SMALL = "The reported figure is too small wherever the last batch is smaller."
DIVIDE = "Divide by the number of samples in the batch at hand: a mean instead of a sum over a constant."
LAST_EFFECT = "The figure is that of a few samples, and jumps from epoch to epoch. The weights are not touched."
WRONG: dict[Aggregation, Wrong] = {
    Aggregation.UNWEIGHTED: Wrong(
        Reason.UNWEIGHTED_MEAN,
        "The samples of a smaller last batch count for more than the others. The weights are not touched.",
        "Feed a keras.metrics.Mean with sample_weight=the number of samples in the batch.",
    ),
    Aggregation.LAST: Wrong(
        Reason.LAST_BATCH,
        LAST_EFFECT,
        "Report the mean over all samples of the epoch: in the loop, feed a keras.metrics.Mean with the figure of "
        "every batch and sample_weight=the number of its samples, and reset it at the beginning of an epoch.",
    ),
    Aggregation.UNFED: Wrong(
        Reason.UNFED_METRIC,
        "The figure stays at 0. The weights are not touched.",
        "Feed the metric in the loop with every batch, and read its result after the last one.",
    ),
    Aggregation.FIXED: Wrong(Reason.FIXED_DIVISOR, SMALL, DIVIDE),
    Aggregation.PADDED: Wrong(Reason.FIXED_DIVISOR, SMALL, DIVIDE),
    Aggregation.REPEATED: Wrong(
        Reason.FIXED_DIVISOR,
        "The samples of a smaller last batch count for more than the others, and the figure is too large. The weights "
        "are not touched.",
        "Multiply a batch's mean by the number of its samples before they are summed.",
    ),
    Aggregation.UNRESET: Wrong(
        Reason.METRIC,
        "The metric lags behind: it holds all epochs before the last. The weights are not touched.",
        "Call reset_state at the start of every epoch, and before every validation.",
    ),
    Aggregation.EARLIER: Wrong(
        Reason.RUNNING_FIGURE,
        "The figure lags behind: more updates follow after it is taken. The weights are not touched.",
        "Evaluate the validation set after the last update of an epoch, and report that figure.",
    ),
}


# The same where fit calls a train_step of the model's class.
WRONG_IN_STEPS: dict[Aggregation, Wrong] = {
    Aggregation.LAST: Wrong(
        Reason.LAST_BATCH,
        LAST_EFFECT,
        "Return the result of a tracked keras.metrics.Mean from train_step and test_step, and list it in the model's "
        "metrics, so that it is reset every epoch.",
    ),
    Aggregation.UNFED: Wrong(
        Reason.UNFED_METRIC,
        "The figure stays at 0. Where train_step returns nothing but figures under the names of the model's metrics, "
        "fit reports those metrics instead. The weights are not touched.",
        "Keep a keras.metrics.Mean of the loss, feed it in train_step and test_step, return its result, and list it in "
        "the model's metrics.",
    ),
}


def probe(experiment: Experiment, findings: Findings) -> None:
    """Computes every reported figure in every way, and reports the wrong ways that match."""
    reports = [Reports(experiment, side) for side in (0, 1)]
    sides = [{figure.name: figure for figure in one.figures()} for one in reports]
    for side in (0, 1):
        texts = WRONG | WRONG_IN_STEPS if _trains_by_own_step(experiment.epochs[side].model) else WRONG
        _report_wrong(findings, side, sides[side], sides[1 - side], texts)
        _state_moment(experiment, findings, side, reports[side])
    _report_running(findings, sides[0], sides[1])
    _report_units(findings, sides)


def _state_moment(experiment: Experiment, findings: Findings, side: int, reports: Reports) -> None:
    """Adds when a side evaluates, to what it reports from before its last updates."""
    earlier = [cause for cause in findings.causes if cause.reason == Reason.RUNNING_FIGURE]
    if not any(cause.side is SIDES[side] for cause in earlier):
        return
    stated = f"Steps before the evaluation that the {word(side)} side reports."
    steps = len(experiment.epochs[side].steps)
    moment = reports.earlier_validation_calls()[0].steps_before
    findings.extend(Reason.RUNNING_FIGURE, [evidence("steps_before_validation", stated, float(steps), float(moment))])


def _trains_by_own_step(model: Any) -> bool:
    """Whether fit trained ``model`` by a ``train_step`` of its class; a loop may train such a model without it."""
    return type(model).train_step is not keras.Model.train_step and model.train_function is not None


def _evidence(figure: Figure, side: int) -> Evidence:
    reported, truth = f"{figure.reported:.6g}", f"{figure.truth:.6g}"
    where = "on the final weights" if figure.aggregation is Aggregation.EARLIER else "over all samples"
    stated = f"The {word(side)} side reports {reported} as {figure.name}; {where} it is {truth}."
    return evidence(f"{word(side)}_{figure.name}", stated, figure.truth, figure.reported)


def _report_wrong(
    findings: Findings,
    side: int,
    own: dict[str, Figure],
    other: dict[str, Figure],
    texts: Mapping[Aggregation, Wrong],
) -> None:
    by_way: dict[Aggregation, list[Figure]] = defaultdict(list)
    for name, figure in own.items():
        way = figure.aggregation
        if way in SOUND:
            findings.control(
                f"{word(side)}_{name}",
                f"The {word(side)} side's {name}: {way}.",
                figure.aggregations[way],
                figure.reported,
            )
        # What both sides do alike makes no difference between them.
        elif way is not None and (name not in other or other[name].aggregation is not way):
            by_way[way].append(figure)
    for way, figures in by_way.items():
        stated = tuple(_evidence(figure, side) for figure in figures)
        wrong = texts[way]
        if wrong.reason in findings.reasons:
            findings.extend(wrong.reason, stated)
            continue
        names = joined(figure.name for figure in figures)
        findings.cause(
            Cause(
                reason=wrong.reason,
                title=f"What the {word(side)} side reports as {names} is {way}",
                evidence=stated,
                consequence=wrong.effect,
                fix=wrong.fix,
                side=SIDES[side],
            ),
            Effect.REPORT,
            max(abs(figure.reported - figure.truth) for figure in figures),
        )


def _report_units(findings: Findings, sides: list[dict[str, Figure]]) -> None:
    """Accuracies that one side alone reports in other units, such as percent, whatever weights they are of."""
    scaled = [
        {n: f for n, f in own.items() if n.removeprefix(VALIDATION) in ACCURACIES and f.is_in_other_units}
        for own in sides
    ]
    for side in (0, 1):
        alone = (scaled[side].keys() & sides[1 - side].keys()) - scaled[1 - side].keys()
        figures = [scaled[side][name] for name in sorted(alone)]
        if not figures:
            continue
        names = joined(figure.name for figure in figures)
        findings.cause(
            Cause(
                reason=Reason.SCALED_FIGURE,
                title=f"The {word(side)} side reports {names} in other units than the {word(1 - side)} side",
                evidence=tuple(_evidence(figure, side) for figure in figures),
                consequence="The same metric in other units. The weights are not touched.",
                fix="Report the same unit on both sides.",
                side=SIDES[side],
            ),
            Effect.REPORT,
            max(abs(figure.reported - figure.truth) for figure in figures),
        )


def _report_running(findings: Findings, first: dict[str, Figure], second: dict[str, Figure]) -> None:
    """One side's training figures run over the epoch, the other's are taken after it."""
    names = [
        name
        for name in first.keys() & second.keys()
        if not name.startswith(VALIDATION)
        and {first[name].aggregation, second[name].aggregation} == {Aggregation.MEAN, Aggregation.FINAL}
    ]
    if not names:
        return
    running = 0 if first[names[0]].aggregation is Aggregation.MEAN else 1
    findings.cause(
        Cause(
            reason=Reason.RUNNING_FIGURE,
            title=f"The {word(running)} side's training figures run over the epoch, the other's are of its end",
            evidence=tuple(
                evidence(
                    f"{word(side)}_{name}",
                    f"The {word(side)} side's {name}: {figures[name].aggregation}.",
                    figures[name].aggregations.get(Aggregation.FINAL),
                    figures[name].reported,
                )
                for name in sorted(names)
                for side, figures in enumerate((first, second))
            ),
            consequence="A running figure lags behind: it holds batches from before the weights had learnt. The "
            "weights are "
            "not touched.",
            fix="Compare evaluate(training data) on both sides after the last epoch.",
        ),
        Effect.REPORT,
        max(abs(first[name].reported - second[name].reported) for name in names),
    )
