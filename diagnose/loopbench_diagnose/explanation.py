"""Which interventions close the gap between the first gradients of two sides."""

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from loopbench_diagnose.data import leaves
from loopbench_diagnose.first_gradients import changed, ratio_of
from loopbench_diagnose.gradients import Ratio
from loopbench_diagnose.interventions import (
    ALL_LOGITS,
    COLUMN_LABELS,
    EQUAL_LABELS,
    RIGHT_LOGITS,
    TRAINING_MODE,
    UNIT_WEIGHTS,
    Intervention,
    has_weights,
)

if TYPE_CHECKING:
    from loopbench_diagnose.experiment import Experiment

# Places of an update's chain that come after its gradients.
AFTER_GRADIENTS = ("applied gradient", "update", "state after")
# Interventions that are tried together.
MOST_TOGETHER = 3


@dataclass(frozen=True)
class Explanation:
    """How the gap between two first gradients closes: under which interventions, and with which scale left.

    ``ratio`` is second over first under them. ``closed`` is False where nothing that was tried helps.
    """

    interventions: tuple[Intervention, ...]
    ratio: Ratio
    closed: bool


def explain(experiment: "Experiment") -> Explanation:
    """The fewest interventions that close the gap between the first gradients."""
    # For several steps: where nothing else is needed to close the gap, they are looked at later.
    plain = ratio_of(experiment.batch(experiment.baseline))
    if plain is not None and experiment.models_differ:
        return Explanation((), plain, closed=False)
    if plain is None or not experiment.same_inputs:
        return Explanation((), plain or Ratio(1.0, 0.0, ()), closed=plain is None)
    if _gradients_agree(experiment):
        return _by_orders(experiment, plain)
    return _by_trials(experiment, plain)


def _by_trials(experiment: "Experiment", plain: Ratio) -> Explanation:
    tolerance = experiment.tolerance
    closing: list[Explanation] = []
    for together in _tries(experiment, closed=plain.residual < tolerance):
        found = experiment.ratio(together)
        if found is None or not found.residual < tolerance:
            continue
        if EQUAL_LABELS in together and not any(experiment.depends_on_order(side, together) for side in (0, 1)):
            continue
        closing.append(Explanation(together, found, closed=True))
        if abs(found.scale - 1) < tolerance:
            return closing[-1]
    if closing:
        return closing[0]
    replicas = experiment.on_replicas[0]
    return Explanation(replicas, experiment.ratio(replicas) or plain, closed=False)


def _gradients_agree(experiment: "Experiment") -> bool:
    """Whether the replay shows equal gradients of the same first update."""
    comparison = experiment.comparison
    if max(experiment.replicas) > 1 or not comparison.aligned or experiment.diverges:
        return False
    first = comparison.first
    return first is None or first.update > 0 or first.place in AFTER_GRADIENTS


def _by_orders(experiment: "Experiment", plain: Ratio) -> Explanation:
    """For gradients that agree in one order: where they differ in the sides' own, labels are shuffled apart."""
    if max(plain.residual, abs(plain.scale - 1)) < experiment.tolerance:
        return Explanation((), plain, closed=True)
    if experiment.has_labels and not experiment.inputs_differ and _acts(experiment, EQUAL_LABELS):
        found = experiment.ratio((EQUAL_LABELS,))
        apart = any(experiment.depends_on_order(side, (EQUAL_LABELS,)) for side in (0, 1))
        if found is not None and found.residual < experiment.tolerance and apart:
            return Explanation((EQUAL_LABELS,), found, closed=True)
    if experiment.parts_by_order:
        return Explanation((), plain, closed=False)
    return Explanation((), Ratio(1.0, 0.0, tuple(1.0 for _ in plain.by_variable)), closed=True)


def _tries(experiment: "Experiment", *, closed: bool) -> list[tuple[Intervention, ...]]:
    if closed:
        # Nothing but weights that are all the same, and replicas, can look like a constant scale.
        candidates = [UNIT_WEIGHTS] if has_weights(experiment.data) else []
    else:
        candidates = [one for one in _candidates(experiment) if _acts(experiment, one)]
    sizes = range(min(MOST_TOGETHER, len(candidates)) + 1)
    sets = [together for size in sizes for together in combinations(candidates, size)]
    return [(*replicas, *together) for together in sets for replicas in experiment.on_replicas]


def _candidates(experiment: "Experiment") -> list[Intervention]:
    """The more specific ones first: equal labels make up for too much."""
    outputs = leaves(experiment.epochs[0].steps[0].call.outputs)
    flags = [step.call.training for trace in experiment.epochs for step in trace.steps]
    rows = any(np.ndim(labels) == 1 for labels in leaves(experiment.data.y))
    applicable = {
        # Not of the data alone: a loop may pass class weights to fit itself.
        UNIT_WEIGHTS: True,
        TRAINING_MODE: not all(flags),
        COLUMN_LABELS: rows and any(output.shape[1:] == (1,) for output in outputs),
        RIGHT_LOGITS if experiment.harness.gives_probabilities else ALL_LOGITS: True,
        # Inputs that are exchanged come in one order.
        EQUAL_LABELS: experiment.has_labels and not experiment.inputs_differ,
    }
    return [intervention for intervention, applies in applicable.items() if applies]


def _acts(experiment: "Experiment", intervention: Intervention) -> bool:
    """Whether an intervention changes a first gradient at all; not where a side fails under it."""
    before = experiment.first_step(experiment.baseline)
    try:
        after = experiment.first_step((*experiment.baseline, intervention))
    except Exception as error:  # noqa: BLE001  the other interventions stand
        experiment.failed_interventions[intervention.name] = error
        return False
    return any(changed(*pair, experiment.tolerance) for pair in zip(before, after, strict=True))
