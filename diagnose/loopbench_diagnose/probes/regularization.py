"""Losses that the model adds by itself, and that a hand-written loss has to add as well."""

from collections.abc import Sequence

from loopbench.spec import Cause, Effect, Reason
from loopbench_diagnose.effects import finite
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, percent, word
from loopbench_diagnose.gradients import gap, norm, subtract
from loopbench_diagnose.interventions import NO_ADDITIONAL_LOSSES, ONE_REPLICA, Intervention
from loopbench_diagnose.trace import Arrays, Trace

# Of the gradient's length; below it the part is rounding.
SMALLEST_PART = 1e-5
SAME = 0.05
# Causes that say all of it, or that leave no gradients to compare.
ELSEWHERE = frozenset({Reason.REGULARIZATION, Reason.MODEL, Reason.ACCUMULATION})
# Parts that differ by more than the whole gradients do are made up for elsewhere.
MADE_UP = 0.5

LESS = "The gradient lacks {} of its norm: weights or outputs are penalised less than intended."
MORE = "The gradient holds {} of its norm too much: weights or outputs are penalised more than intended."


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares what ``sum(model.losses)`` adds to either gradient."""
    if not experiment.has_additional_losses or not experiment.same_inputs or findings.reasons & ELSEWHERE:
        return
    if max(experiment.replicas) == 1 and experiment.comparison.first is None:
        findings.control("regularization", "All updates agree, with what the model adds to the loss.")
        return
    parts = _parts(experiment, _with_replicas(experiment))
    sizes = [norm(part) for part in parts]
    whole = max(norm(trace.steps[0].gradients or []) for trace in experiment.batch())
    if max(sizes) < SMALLEST_PART * whole:
        findings.control("regularization", "The model's own losses add next to nothing to the gradient.")
        return
    if min(sizes) > 0 and gap(parts[0], parts[1]) < SAME:
        findings.control("regularization", "The model's own losses add the same to both gradients.", sizes[0], sizes[1])
        return
    if min(sizes) > 0 and gap([experiment.explanation.ratio.scale * array for array in parts[0]], parts[1]) < SAME:
        findings.control("regularization", "The model's own losses are scaled as the whole loss is.", *sizes)
        return
    if _by_hand(experiment):
        findings.control("regularization", "The gradients agree as a whole: a side adds the same by hand.", *sizes)
        return
    _report(experiment, findings, parts, whole)


def _report(experiment: Experiment, findings: Findings, parts: list[Arrays], whole: float) -> None:
    sizes = [norm(part) for part in parts]
    # Once and as they are is right, whatever the rest of the loss is scaled by.
    once = experiment.penalty_gradient
    guilty = 0 if gap(once, parts[0]) > gap(once, parts[1]) else 1
    own, other = sizes[guilty], sizes[1 - guilty]
    share = abs(own - other) / whole
    findings.cause(
        Cause(
            reason=Reason.REGULARIZATION,
            title=f"The {word(guilty)} side {_what(own, other)}",
            evidence=(
                evidence(
                    "regularization_gradient",
                    f"Length of what sum(model.losses) adds to the gradient: first {sizes[0]:.4g}, second "
                    f"{sizes[1]:.4g}.",
                    other,
                    own,
                ),
            ),
            consequence=(LESS if own < other else MORE).format(percent(share)),
            fix="Add sum(model.losses) to the loss, once and unscaled, before the gradient is taken.",
            side=SIDES[guilty],
        ),
        Effect.TRAINING,
        finite(share),
    )


def _what(own: float, other: float) -> str:
    if own < SAME * other:
        return "leaves out the regularization losses"
    times = own / other if other else float("inf")
    return f"counts the regularization losses {times:.3g} times"


def _by_hand(experiment: Experiment) -> bool:
    """Whether the whole gradients are closer to each other than what ``model.losses`` adds to them."""
    interventions = experiment.explanation.interventions
    first, second = (trace.steps[0].gradients or [] for trace in experiment.first_step(interventions))
    return norm(subtract(first, second)) < MADE_UP * norm(subtract(*_parts(experiment, interventions)))


def _with_replicas(experiment: Experiment) -> tuple[Intervention, ...]:
    """What explains the gap; on all replicas, unless they are a cause: these losses alone may be added once by each."""
    found = experiment.explanation.interventions
    return found if experiment.is_scaled_by_replicas else tuple(one for one in found if one is not ONE_REPLICA)


def _parts(experiment: Experiment, interventions: Sequence[Intervention]) -> list[Arrays]:
    """The gradient of the model's own losses on either side."""
    pairs = zip(
        experiment.first_step(interventions), experiment.first_step((NO_ADDITIONAL_LOSSES, *interventions)), strict=True
    )
    return [_part(full, without) for full, without in pairs]


def _part(whole: Trace, rest: Trace) -> Arrays:
    full, without = whole.steps[0].gradients, rest.steps[0].gradients
    assert full is not None
    assert without is not None
    return subtract(full, without)
