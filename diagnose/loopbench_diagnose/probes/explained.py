"""Causes that an intervention takes away: what closes the gap between the first gradients names the cause."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loopbench.spec import Cause, Effect, Evidence, Reason
from loopbench_diagnose.data import leaves
from loopbench_diagnose.effects import effect_of_gap, finite
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import GRADIENT_GAP, SIDES, Findings, evidence, joined, word
from loopbench_diagnose.gradients import gap
from loopbench_diagnose.interventions import (
    ALL_LOGITS,
    COLUMN_LABELS,
    EQUAL_LABELS,
    ONE_REPLICA,
    RIGHT_LOGITS,
    TRAINING_MODE,
    UNIT_WEIGHTS,
    Intervention,
)


@dataclass(frozen=True)
class Explained:
    """A cause: its texts, and how the sides at fault are found."""

    reason: Reason
    title: str
    fix: str
    at_fault: Callable[[Experiment, int], bool]
    more: Callable[[Experiment], list[Evidence]]


def _ignores_weights(experiment: Experiment, side: int) -> bool:
    return not experiment.sees(side, UNIT_WEIGHTS)


def _not_in_training_mode(experiment: Experiment, side: int) -> bool:
    return not experiment.batch()[side].steps[0].call.training


def _changes_under(intervention: Intervention) -> Callable[[Experiment, int], bool]:
    return lambda experiment, side: experiment.sees(side, intervention)


def _depends_on_order(experiment: Experiment, side: int) -> bool:
    return experiment.depends_on_order(side, experiment.explanation.interventions)


def _flags(experiment: Experiment) -> list[Evidence]:
    moved = [
        gap(*(trace.steps[0].state or [], (trace.steps[1].state if len(trace.steps) > 1 else trace.state) or []))
        for trace in experiment.batch()
    ]
    if not any(moved):
        return []
    return [
        evidence(
            "moving_statistics",
            f"Weights that are not trained move in step 1 by {moved[0]:.2g} (first) and {moved[1]:.2g} (second) of "
            "their length.",
            moved[0],
            moved[1],
        )
    ]


def _shapes(experiment: Experiment) -> list[Evidence]:
    labels = [np.shape(leaf)[1:] for leaf in leaves(experiment.data.y)]
    outputs = [leaf.shape[1:] for leaf in leaves(experiment.batch()[0].steps[0].call.outputs)]
    stated = f"Labels (n{_rest(labels)}) against outputs (n{_rest(outputs)}): broadcast, their difference is (n, n)."
    return [evidence("shapes", stated)]


def _rest(shapes: list[tuple[int, ...]]) -> str:
    return "".join(f", {size}" for size in shapes[0]) if shapes[0] else ","


def _outputs(experiment: Experiment) -> list[Evidence]:
    outputs = leaves(experiment.batch()[0].steps[0].call.outputs)
    kind = "probabilities" if experiment.harness.gives_probabilities else "no probabilities"
    low, high = min(float(leaf.min()) for leaf in outputs), max(float(leaf.max()) for leaf in outputs)
    return [evidence("outputs", f"The model's outputs are {kind}: {low:.4g} to {high:.4g}.")]


def _weights(experiment: Experiment) -> list[Evidence]:
    values = [np.asarray(leaf, np.float64) for leaf in leaves(experiment.data.sample_weight)]
    given = [f"sample weights from {value.min():.4g} to {value.max():.4g}" for value in values]
    given += [f"class weights {dict(experiment.data.class_weight)}"] if experiment.data.class_weight else []
    stated = f"There are {joined(given)}." if given else "A side passes its class weights to fit."
    return [evidence("weights", stated)]


def _none(_: Experiment) -> list[Evidence]:
    return []


CAUSES: dict[Intervention, Explained] = {
    UNIT_WEIGHTS: Explained(
        Reason.SAMPLE_WEIGHTS,
        "does not weigh the samples as the other does",
        "Multiply every sample's loss by its weight before the mean: loss(y, outputs, sample_weight=…), and turn class "
        "weights into sample weights. Keras divides by the number of samples, not by the sum of their weights.",
        _ignores_weights,
        _weights,
    ),
    TRAINING_MODE: Explained(
        Reason.TRAINING_FLAG,
        "calls the model without training=True while it trains",
        "Call model(x, training=True) in the training step, or batch normalization and dropout stay in inference mode.",
        _not_in_training_mode,
        _flags,
    ),
    COLUMN_LABELS: Explained(
        Reason.LABELS_BROADCAST,
        "broadcasts labels (n,) against outputs (n, 1) into a matrix of all pairs",
        "Give labels and outputs the same shape: y[:, None], or outputs[:, 0].",
        _changes_under(COLUMN_LABELS),
        _shapes,
    ),
    RIGHT_LOGITS: Explained(
        Reason.FROM_LOGITS,
        "takes probabilities for logits",
        "Set from_logits=True where the last layer has no activation, and False behind softmax or sigmoid.",
        _changes_under(RIGHT_LOGITS),
        _outputs,
    ),
    ALL_LOGITS: Explained(
        Reason.FROM_LOGITS,
        "takes logits for probabilities",
        "Set from_logits=True: the last layer has neither softmax nor sigmoid.",
        _changes_under(ALL_LOGITS),
        _outputs,
    ),
    EQUAL_LABELS: Explained(
        Reason.PAIRS_SHUFFLED_APART,
        "trains on samples with the labels of other samples",
        "Shuffle samples and labels together: one permutation for both, or a dataset of pairs.",
        _depends_on_order,
        _none,
    ),
}


def probe(experiment: Experiment, findings: Findings) -> None:
    """Reports a cause for every intervention that closes the gap."""
    # Another probe examines replicas.
    found = [one for one in experiment.explanation.interventions if one is not ONE_REPLICA]
    plain = experiment.ratio([one for one in experiment.explanation.interventions if one is ONE_REPLICA])
    if plain is None:
        return
    if not experiment.explanation.closed:
        _report_flag(experiment, findings)
        return
    for intervention in found:
        _report(experiment, findings, intervention, max(plain.residual, abs(plain.scale - 1)))


def _report_flag(experiment: Experiment, findings: Findings) -> None:
    """A flag that differs and acts is a cause beside whatever else keeps the gap open."""
    flags = [_not_in_training_mode(experiment, side) for side in (0, 1)]
    if flags[0] == flags[1] or not experiment.same_inputs:
        return
    side = flags.index(True)
    before, after = (pair[side].steps[0].gradients for pair in (experiment.batch(), experiment.forward))
    size = 0.0 if before is None or after is None else gap(before, after)
    if size <= experiment.tolerance:
        return
    cause = CAUSES[TRAINING_MODE]
    findings.cause(
        Cause(
            reason=cause.reason,
            title=f"The {word(side)} side {cause.title}",
            evidence=(
                evidence(
                    "gradient_gap",
                    f"Distance of the {word(side)} side's first gradients, as they are and in training mode.",
                    0.0,
                    size,
                ),
                *cause.more(experiment),
            ),
            consequence=effect_of_gap(size),
            fix=cause.fix,
            side=SIDES[side],
        ),
        Effect.TRAINING,
        finite(size),
    )


def _report(experiment: Experiment, findings: Findings, intervention: Intervention, size: float) -> None:
    cause = CAUSES[intervention]
    guilty = [side for side in (0, 1) if cause.at_fault(experiment, side)]
    who = f"The {word(guilty[0])} side" if len(guilty) == 1 else "One side"
    findings.cause(
        Cause(
            reason=cause.reason,
            title=f"{who} {cause.title}",
            evidence=(
                evidence("gradient_gap", GRADIENT_GAP, 0.0, size),
                evidence(
                    "gradient_gap_without_cause",
                    f"The same under the intervention: {intervention.name}.",
                    0.0,
                    experiment.explanation.ratio.residual,
                ),
                *cause.more(experiment),
            ),
            consequence=effect_of_gap(size),
            fix=cause.fix,
            side=SIDES[guilty[0]] if len(guilty) == 1 else None,
        ),
        Effect.TRAINING,
        finite(size),
    )
