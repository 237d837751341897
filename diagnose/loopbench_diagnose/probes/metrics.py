"""Reported metrics, whatever their names: equal weights and samples have to give equal values."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loopbench.spec import Effect, Evidence, Reason
from loopbench_diagnose.data import Data, leaves, sample_weights
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, word
from loopbench_diagnose.metric_table import variants
from loopbench_diagnose.orders import indices
from loopbench_diagnose.probes.figures import WRONG
from loopbench_diagnose.probes.outside import average
from loopbench_diagnose.reports import ACCURACIES, UNITS, VALIDATION, Aggregation, Batches, Reports
from loopbench_diagnose.trace import Array, Call, Step, Trace

# Relative; what single precision makes of sums, and what counts of samples may differ by where weights differ by
# rounding.
SAME = 1e-4
MATCH = 2e-5
# Weights that are further apart make other metrics.
EQUAL_WEIGHTS = 1e-3
# Causes that explain a validation metric as a whole.
OF_VALIDATION = frozenset(
    {
        Reason.VALIDATION_DATA,
        Reason.VALIDATION_SAMPLES,
        Reason.EVALUATED_IN_TRAINING_MODE,
        Reason.LAYER_STATE,
        Reason.WEIGHT_AVERAGING,
    }
)


@dataclass(frozen=True)
class Metric:
    """A metric that both sides report."""

    name: str
    values: tuple[float, float]

    @property
    def is_validation(self) -> bool:
        """Whether it is one of the validation set."""
        return self.name.startswith(VALIDATION)

    @property
    def kind(self) -> str:
        """The name without the prefix."""
        return self.name.removeprefix(VALIDATION)


def probe(experiment: Experiment, findings: Findings) -> None:
    """Explains every metric that differs on equal weights."""
    traces = experiment.epochs
    _alone(experiment, findings)
    if not comparable(experiment) or Reason.NOT_REPEATABLE in findings.reasons:
        return
    for name in sorted(traces[0].reported.keys() & traces[1].reported.keys()):
        metric = Metric(name, (traces[0].reported[name], traces[1].reported[name]))
        if agrees(experiment, metric):
            findings.agree([_both(metric)])
        elif not _known(findings, metric):
            _explain(experiment, findings, metric)


def comparable(experiment: Experiment) -> bool:
    """Whether both replays train the same weights on the same samples."""
    comparison = experiment.observed
    first = comparison.first
    return (
        (first is None or first.place == "state after")
        and comparison.final_distance < EQUAL_WEIGHTS
        and not experiment.inputs_differ
    )


def agrees(experiment: Experiment, metric: Metric) -> bool:
    """Within rounding; a count may differ by a sample where the weights are not the same bits."""
    one, other = metric.values
    if not np.isfinite(one) or not np.isfinite(other):
        return bool(np.isnan(one) == np.isnan(other))
    distance = experiment.observed.final_distance
    data = experiment.data.validation if metric.is_validation else experiment.data
    sample = 0.0 if distance == 0 or metric.kind == "loss" or data is None else 2.0 / len(data)
    size = max(abs(one), abs(other))
    return abs(one - other) <= max(SAME * size, 100 * distance * size, sample, 1e-7)


def _both(metric: Metric) -> Evidence:
    return evidence(metric.name, f"{metric.name} as reported, first and second.", *metric.values)


def _known(findings: Findings, metric: Metric) -> bool:
    """Whether an earlier probe explains it."""
    names = {f"first_{metric.name}", f"second_{metric.name}"}
    if any(names & {item.name for item in cause.evidence} for cause in findings.causes):
        return True
    return metric.is_validation and bool(findings.reasons & OF_VALIDATION)


def _alone(experiment: Experiment, findings: Findings) -> None:
    """An accuracy of labels that are no classes, which one side alone reports."""
    reported = [trace.reported for trace in experiment.epochs]
    labels = leaves(experiment.data.y)
    numbers = bool(labels) and all(
        np.asarray(y).dtype.kind == "f" and not np.equal(np.mod(y, 1), 0).all() for y in labels
    )
    for side in (0, 1):
        names = [
            name
            for name in reported[side]
            if name.removeprefix(VALIDATION) in ACCURACIES and name not in reported[1 - side]
        ]
        if names and numbers and Reason.ACCURACY_METRIC not in findings.reasons:
            findings.cause(
                difference(
                    Reason.ACCURACY_METRIC,
                    f"The {word(side)} side reports {names[0]} of labels that are no classes",
                    [evidence(f"{word(side)}_{names[0]}", f"{names[0]} as reported.", None, reported[side][names[0]])],
                    consequence="It counts outputs that equal a number exactly, which is close to none. The weights "
                    "are not touched.",
                    fix="Report an error for a regression: mae, or RootMeanSquaredError.",
                    side=side,
                ),
                Effect.REPORT,
                1.0,
            )


Explanation = tuple[Reason, str, int | None, str, str]
PLAIN = "The reported metric differs, the weights are not touched."


def _explain(experiment: Experiment, findings: Findings, metric: Metric) -> None:
    found = next(_explanations(experiment, metric), None)
    if found is None:
        found = (
            Reason.UNEXPLAINED_FIGURE,
            f"{metric.name} differs on equal weights: {metric.values[0]:.6g} and {metric.values[1]:.6g}",
            None,
            PLAIN,
            "Compare how both sides compute it: over which samples, with which weights, and when it is reset.",
        )
    reason, title, side, consequence, fix = found
    stated = evidence(
        f"{word(side if side is not None else 1)}_{metric.name}",
        f"{metric.name} as reported, first and second.",
        *metric.values,
    )
    same = [cause for cause in findings.causes if cause.reason == reason]
    if same and reason is not Reason.UNEXPLAINED_FIGURE:
        findings.extend(reason, [stated])
        return
    findings.cause(
        difference(reason, title, [stated], consequence=consequence, fix=fix, side=side),
        Effect.REPORT,
        min(1e9, abs(metric.values[0] - metric.values[1])),
    )


def _explanations(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    for explain in (
        _averaged,
        _without_penalty,
        _micro_batches,
        _never_reset,
        _batches,
        _unfed,
        _scaled,
        _evaluated_earlier,
        _recomputed,
        _configured,
    ):
        yield from explain(experiment, metric)


def _close(one: float, other: float, tolerance: float = MATCH) -> bool:
    return bool(np.isclose(one, other, rtol=tolerance, atol=1e-7))


def _averaged(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """Weights at the time of the evaluation that are averages of the trained ones."""
    for side, trace in enumerate(experiment.epochs):
        calls = [call for call in trace.evaluations if call.weights is not None]
        if (
            not metric.is_validation
            or not calls
            or any(call.weights is not None for call in experiment.epochs[1 - side].evaluations)
        ):
            continue
        stated = average(trace, len(trace.updates_made), calls[-1].weights or [])
        yield (
            Reason.WEIGHT_AVERAGING,
            f"The {word(side)} side evaluates {stated or 'other weights than those that it trains'}",
            side,
            "The metric is that of other weights than the other side evaluates. The trained weights are not touched.",
            "Evaluate the same weights on both sides: the averaged ones, or the trained ones.",
        )


def _without_penalty(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    if "loss" not in metric.kind:
        return
    penalties = [_penalty(trace, metric) for trace in experiment.epochs]
    for side, penalty in enumerate(penalties):
        own, other = metric.values[side], metric.values[1 - side]
        if penalty > SAME * abs(other) and (
            _close(own + penalty, other, SAME) or _close(own + penalties[1 - side], other, SAME)
        ):
            yield (
                Reason.UNREPORTED_PENALTY,
                f"The {word(side)} side reports {metric.name} without the model's own losses",
                side,
                f"{metric.name} is {penalty:.4g} too small. The weights are not touched.",
                "Add sum(model.losses) to the loss that is reported, or leave it out on both sides.",
            )
            return


def _penalty(trace: Trace, metric: Metric) -> float:
    """Mean over the samples of what the model added in the calls that the metric is made of."""
    calls = _calls(trace, metric)
    if not calls:
        return 0.0
    return float(np.average([call.penalty for call in calls], weights=[len(call.rows) for call in calls]))


def _calls(trace: Trace, metric: Metric, *, all_epochs: bool = False) -> list[Call]:
    """The calls that the metric is made of, where it is reset; of all epochs where it is not."""
    if not metric.is_validation:
        return [step.call for step in (trace.steps if all_epochs else _last_epoch(trace))]
    return [call for call in trace.evaluations if all_epochs or call.steps_before == len(trace.steps)]


def _last_epoch(trace: Trace) -> list[Step]:
    return trace.steps[-(len(trace.steps) // trace.epochs) :]


def _batches(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """What one side's mean is made of, taken together in another way by the other side."""
    for side, trace in enumerate(experiment.epochs):
        own, other = metric.values[side], metric.values[1 - side]
        for use in (*trace.means, *experiment.epochs[1 - side].means):
            for values, weights in _windows(use.values, use.weights, trace.epochs):
                made = Batches(values, weights)
                found = made.aggregations()
                if not _close(found[Aggregation.MEAN], own):
                    continue
                how = next(
                    (way for way, value in found.items() if way is not Aggregation.MEAN and _close(value, other)), None
                )
                if how is not None and how in WRONG:
                    wrong = WRONG[how]
                    yield (
                        wrong.reason,
                        f"What the {word(1 - side)} side reports as {metric.name} is {how}",
                        1 - side,
                        wrong.effect,
                        wrong.fix,
                    )
                    return


def _micro_batches(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """A loss of the last of an update's gradients alone."""
    if metric.kind != "loss" or metric.is_validation:
        return
    for side, trace in enumerate(experiment.epochs):
        made = trace.updates_made[-(len(trace.updates_made) // trace.epochs) :]
        if not made or max(len(update.steps) for update in made) == 1:
            continue
        sizes = [len(update.rows) for update in made]
        lasts = [update.steps[-1] for update in made]
        times = {
            "as it is": [1.0] * len(made),
            "undivided": [size / len(last.call.rows) for size, last in zip(sizes, lasts, strict=True)],
            "times their number": [float(len(update.steps)) for update in made],
        }
        for factors in times.values():
            losses = [last.loss * factor for last, factor in zip(lasts, factors, strict=True)]
            if any(
                _close(found, metric.values[side])
                for found in (float(np.average(losses, weights=sizes)), float(np.mean(losses)), losses[-1])
            ):
                wrong = WRONG[Aggregation.LAST]
                yield (
                    wrong.reason,
                    (
                        f"What the {word(side)} side reports as {metric.name} is made of each update's last "
                        f"micro-batch "
                        f"alone"
                    ),
                    side,
                    wrong.effect,
                    "Add up the losses of all micro-batches of an update before they are reported.",
                )
                return


def _never_reset(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """One value is the mean of the last epoch, and the other one that of all epochs."""
    wrong = WRONG[Aggregation.UNRESET]
    for side, (own, other) in enumerate((metric.values, metric.values[::-1])):
        if _is_unreset(experiment.epochs[side], own, other) or _is_way_of_all_epochs(experiment, side, metric):
            title = f"What the {word(side)} side reports as {metric.name} is {Aggregation.UNRESET}"
            yield wrong.reason, title, side, wrong.effect, wrong.fix
            return


def _is_unreset(trace: Trace, own: float, other: float) -> bool:
    """Whether ``own`` is the mean of what a metric was given in all epochs, and ``other`` that of the last one."""
    losses = [(step.loss, float(len(step.call.rows))) for step in trace.steps]
    for fed in (losses, *(list(zip(use.values, use.weights, strict=True)) for use in trace.means)):
        count = len(fed) // trace.epochs
        if count and _close(_mean(fed[-count:]), other) and _close(_mean(fed), own) and not _close(own, other):
            return True
    return False


def _is_way_of_all_epochs(experiment: Experiment, side: int, metric: Metric) -> bool:
    """Whether a side's value comes about in all epochs as the other's does in the last one."""
    way = _way(experiment, side, metric, all_epochs=True)
    return way is not None and way == _way(experiment, 1 - side, metric)


def _mean(fed: list[tuple[float, float]]) -> float:
    total = sum(weight for _, weight in fed)
    return sum(value * weight for value, weight in fed) / total if total else 0.0


def _windows(values: list[float], weights: list[float], epochs: int) -> Iterator[tuple[Array, Any]]:
    """The whole of what a mean was fed with, and its last epoch where it was not reset."""
    sizes = np.asarray(weights)
    if len(values) < 2 or not sizes.sum():  # noqa: PLR2004
        return
    yield np.asarray(values), sizes
    count = len(values) // epochs
    if count > 1:
        yield np.asarray(values[-count:]), sizes[-count:]


def _counts(experiment: Experiment, metric: Metric) -> dict[float, str]:
    """What a mean was not divided by: samples or, in training, batches of an epoch."""
    data = experiment.data.validation if metric.is_validation else experiment.data
    counts = {float(len(data)): "as a sum over the samples, and the other as their mean"} if data is not None else {}
    batches = {float(len(_last_epoch(trace))) for trace in experiment.epochs} if not metric.is_validation else set()
    return {**dict.fromkeys(batches - {1.0}, "as a sum over the batches, and the other as their mean"), **counts}


def _unfed(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """An accuracy that stays at 0 on a side that feeds no accuracy."""
    for side, trace in enumerate(experiment.epochs):
        own, other = metric.values[side], metric.values[1 - side]
        is_fed = any("Accuracy" in use.kind for use in trace.metrics.values())
        if own == 0 and other != 0 and metric.kind.endswith("accuracy") and not is_fed:
            wrong = WRONG[Aggregation.UNFED]
            title = f"What the {word(side)} side reports as {metric.name} is {Aggregation.UNFED}"
            yield wrong.reason, title, side, wrong.effect, wrong.fix
            return


def _scaled(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    small, large = sorted(map(abs, metric.values))
    units = {**UNITS, **_counts(experiment, metric)}
    for labels in leaves(experiment.data.y):
        values = np.asarray(labels)
        if values.dtype.kind == "f" and values.std() > 0:
            spread = float(values.std())
            units[max(spread, 1 / spread)] = "in units of the labels, and the other in their standard deviations"
    stated = next((words for times, words in units.items() if small and _close(large / small, times, SAME)), None)
    if stated is not None:
        side = 0 if abs(metric.values[0]) == large else 1
        yield (
            Reason.SCALED_FIGURE,
            f"The {word(side)} side reports {metric.name} {stated}",
            side,
            "The same metric in other units. The weights are not touched.",
            "Report the same unit on both sides.",
        )


def _recomputed(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """Each side's value, recomputed from labels and outputs in many ways."""
    ways = [_way(experiment, side, metric) for side in (0, 1)]
    if ways[0] is None or ways[1] is None or ways[0] == ways[1]:
        return
    reason = (
        Reason.ACCURACY_METRIC
        if metric.kind in ACCURACIES and not any("weight" in way for way in ways if way)
        else Reason.METRIC
    )
    yield (
        reason,
        f"{metric.name} is computed differently: first {ways[0]}, second {ways[1]}",
        None,
        PLAIN,
        "Use one metric with the same threshold, averaging and weights on both sides, fed with the same batches.",
    )


def _evaluated_earlier(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """One side's value comes about as the other's does, on outputs from before its last updates."""
    if not metric.is_validation:
        return
    wrong = WRONG[Aggregation.EARLIER]
    for side in (0, 1):
        calls = Reports(experiment, side).earlier_validation_calls()
        way = _way_of(experiment, side, metric, calls)
        if way is not None and way == _way(experiment, 1 - side, metric) != _way(experiment, side, metric):
            title = f"What the {word(side)} side reports as {metric.name} is of weights from before the last updates"
            yield wrong.reason, title, side, wrong.effect, wrong.fix
            return


def _way(experiment: Experiment, side: int, metric: Metric, *, all_epochs: bool = False) -> str | None:
    """How a side's value comes about, in words; the first way that fits."""
    return _way_of(experiment, side, metric, _calls(experiment.epochs[side], metric, all_epochs=all_epochs))


def _way_of(experiment: Experiment, side: int, metric: Metric, calls: list[Call]) -> str | None:
    """The same, where it is made of these calls."""
    data = experiment.data.validation if metric.is_validation else experiment.data
    if data is None:
        return None
    # Keras gives a validation set no class weights.
    weights = data.sample_weight if metric.is_validation else sample_weights(data, data.class_weight)
    found = _joined(experiment, replace(data, sample_weight=weights), calls)
    if found is None:
        return None
    labels, outputs, weights, batches = found
    value = metric.values[side]
    return next(
        (
            stated
            for stated, made in variants(metric.kind, labels, outputs, weights, batches)
            if _close(made, value, SAME)
        ),
        None,
    )


Joined = tuple[Any, Array, Any, list[slice]]


def _joined(experiment: Experiment, data: Data, calls: list[Call]) -> Joined | None:
    """Labels, outputs, weights and the places of the batches, of one model output."""
    known, parts = experiment.rows(data), []
    for call in calls:
        index = indices(call.rows, known)
        outputs, labels = leaves(call.outputs), leaves(data.y)
        if index is None or len(outputs) != 1 or len(labels) != 1:
            return None
        weight = None if data.sample_weight is None else np.asarray(leaves(data.sample_weight)[0])[index]
        parts.append((np.asarray(labels[0])[index], outputs[0], weight))
    if not parts:
        return None
    ends = np.cumsum([0, *(len(outputs) for _, outputs, _ in parts)])
    weights = None if parts[0][2] is None else np.concatenate([weight for _, _, weight in parts if weight is not None])
    return (
        np.concatenate([labels for labels, _, _ in parts]),
        np.concatenate([outputs for _, outputs, _ in parts]),
        weights,
        [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)],
    )


def _configured(experiment: Experiment, metric: Metric) -> Iterator[Explanation]:
    """Keras metrics of that name, or of that value, with different options."""
    found = [_results(trace, metric, side) for side, trace in enumerate(experiment.epochs)]
    left, right = found
    if left is None or right is None:
        return
    (one, first), (other, second) = left, right
    apart = [
        f"{name} {value} and {second.get(name)}"
        for name, value in first.items()
        if name not in ("name", "dtype") and name in second and value != second[name]
    ]
    if one != other or apart:
        yield (
            Reason.METRIC,
            f"{metric.name} is computed by {one} and by {other}{': ' + ', '.join(apart) if apart else ''}",
            None,
            PLAIN,
            "Use the same metric with the same options on both sides.",
        )


def _results(trace: Trace, metric: Metric, side: int) -> tuple[str, Mapping[str, object]] | None:
    wanted = [r for r in trace.results if r.kind not in ("Mean", "CompileMetrics")]
    by_value = [r for r in wanted if _close(r.value, metric.values[side], SAME)]
    by_name = [r for r in wanted if r.name == metric.kind]
    chosen = by_name or by_value
    return (chosen[-1].kind, chosen[-1].config) if chosen else None
