"""Accuracies that no way of counting gives: the metric is of the wrong class."""

from loopbench.spec import Cause, Effect, Evidence, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, joined, word
from loopbench_diagnose.reports import Figure, Reports
from loopbench_diagnose.trace import MetricResult, MetricUse, Trace

FIX = (
    "Name the class: SparseCategoricalAccuracy for classes and outputs of all classes, CategoricalAccuracy for one-hot "
    "labels, Accuracy for classes and predicted classes, BinaryAccuracy(threshold=0) for outputs without a sigmoid. "
    "metrics=['accuracy'] guesses it from the shapes."
)


def probe(experiment: Experiment, findings: Findings) -> None:
    """Counts, and names the metric where the reported accuracy is something else."""
    if Reason.LABELS in findings.reasons:
        # Counted on other labels, every accuracy is another one.
        return
    wrong = [_uncounted(experiment, side) for side in (0, 1)]
    for side in (0, 1):
        figures = wrong[side]
        if not figures or _alike(figures, wrong[1 - side], experiment):
            continue
        names = joined(sorted(figure.name for figure in figures))
        findings.cause(
            Cause(
                reason=Reason.ACCURACY_METRIC,
                title=f"What the {word(side)} side reports as {names} is not the share of samples in their class",
                evidence=(*(_counted(figure, side) for figure in figures), *_metrics(experiment.epochs[side])),
                consequence="The figure says little of the model; the weights are not touched.",
                fix=FIX,
                side=SIDES[side],
            ),
            Effect.REPORT,
            max(abs(figure.reported - figure.truth) for figure in figures),
        )


def _uncounted(experiment: Experiment, side: int) -> list[Figure]:
    trace = experiment.epochs[side]
    uses = [use for use in trace.metrics.values() if "Accuracy" in use.kind]
    if uses and not any(sum(use.counted) for use in uses):
        # Nothing is known of metrics that count no value.
        return []
    figures = Reports(experiment, side).accuracies()
    counted = _counted_right(trace, probabilities=experiment.harness.gives_probabilities)
    return [f for f in figures if f.aggregation is None and not f.is_in_other_units and not f.is_any_of(counted)]


def _counted_right(trace: Trace, *, probabilities: bool) -> list[float]:
    """Results of metrics that are of the right class for what they were fed with, and count one value a sample.

    Where they are not the share of samples in their class, they were fed with other samples than those of the epoch,
    or with weights.
    """
    uses = {name: use for name, use in trace.metrics.items() if use.counts_samples}
    known = ((uses[result.name], result) for result in trace.results if result.name in uses)
    return [result.value for use, result in known if _has_right_class(use, result, probabilities=probabilities)]


def _has_right_class(use: MetricUse, result: MetricResult, *, probabilities: bool) -> bool:
    one_value = ((), (1,))
    if use.output_shape[1:] in one_value:
        threshold = 0.5 if probabilities else 0.0
        of_threshold = use.kind == "BinaryAccuracy" and result.config.get("threshold") == threshold
        return of_threshold and use.label_shape[1:] in one_value
    one_hot = use.label_shape == use.output_shape
    return use.kind == ("CategoricalAccuracy" if one_hot else "SparseCategoricalAccuracy")


def _alike(own: list[Figure], other: list[Figure], experiment: Experiment) -> bool:
    """Whether both sides count with the same wrong metric, which makes no difference between them."""
    kinds = [_kinds(trace) for trace in experiment.epochs]
    return bool(kinds[0]) and kinds[0] == kinds[1] and {f.name for f in own} == {f.name for f in other}


def _kinds(trace: Trace) -> set[str]:
    return {use.kind for use in trace.metrics.values() if "Accuracy" in use.kind}


def _counted(figure: Figure, side: int) -> Evidence:
    stated = f"The {word(side)} side reports {figure.reported:.4f} as {figure.name}; counted it is {figure.truth:.4f}."
    return evidence(f"{word(side)}_{figure.name}", stated, figure.truth, figure.reported)


def _metrics(trace: Trace) -> list[Evidence]:
    return [
        evidence(
            f"metric/{use.kind}",
            f"{use.kind}, fed with labels {use.label_shape} and predictions {use.output_shape}: it counted "
            f"{sum(use.counted):g} values for {sum(use.samples):g} samples{', by their weights' * use.weighted}.",
            sum(use.samples),
            sum(use.counted),
        )
        for use in trace.metrics.values()
        if "Accuracy" in use.kind
    ]
