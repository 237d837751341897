"""Losses that the model adds by itself, and that a hand-written loss has to add as well."""

from collections.abc import Sequence

from loopbench.spec import Cause
from loopbench_diagnose.case import Case
from loopbench_diagnose.consequences import finite
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, percent, word
from loopbench_diagnose.gradients import gap, norm, subtract
from loopbench_diagnose.interventions import NO_ADDITIONAL_LOSSES, ONE_REPLICA, Intervention
from loopbench_diagnose.reasons import Reason
from loopbench_diagnose.trace import Arrays, Trace

# Of the gradient's length; below it the part is rounding.
SMALLEST_PART = 1e-5
SAME = 0.05
# Parts that differ by more than the whole gradients do are made up for elsewhere.
MADE_UP = 0.5

LESS = "The gradient lacks {} of its length: weights or outputs are penalised less than intended."
MORE = "The gradient holds {} of its length too much: weights or outputs are penalised more than intended."


def probe(case: Case, findings: Findings) -> None:
    """Compares what ``sum(model.losses)`` adds to either gradient."""
    if not case.has_additional_losses or not case.same_inputs:
        return
    parts = _parts(case, _with_replicas(case))
    sizes = [norm(part) for part in parts]
    whole = max(norm(trace.steps[0].gradients or []) for trace in case.batch())
    if max(sizes) < SMALLEST_PART * whole:
        findings.control("regularization", "The model's own losses add next to nothing to the gradient.")
        return
    if min(sizes) > 0 and gap(parts[0], parts[1]) < SAME:
        findings.control("regularization", "The model's own losses add the same to both gradients.", sizes[0], sizes[1])
        return
    if min(sizes) > 0 and gap([case.explanation.ratio.scale * array for array in parts[0]], parts[1]) < SAME:
        findings.control("regularization", "The model's own losses are scaled as the whole loss is.", *sizes)
        return
    if _by_hand(case):
        findings.control("regularization", "The gradients agree as a whole: a side adds the same by hand.", *sizes)
        return
    _tell(case, findings, parts, whole)


def _tell(case: Case, findings: Findings, parts: list[Arrays], whole: float) -> None:
    sizes = [norm(part) for part in parts]
    # Once and as they are is right, whatever the rest of the loss is scaled by.
    once = case.lab.additional_gradient(case.first(case.batch_size))
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
            effect=(LESS if own < other else MORE).format(percent(share)),
            fix="Add sum(model.losses) to the loss, once and unscaled, before the gradient is taken.",
            side=SIDES[guilty],
        ),
        Severity.TRAINING,
        finite(share),
    )


def _what(own: float, other: float) -> str:
    if own < SAME * other:
        return "leaves out the regularization losses"
    times = own / other if other else float("inf")
    return f"counts the regularization losses {times:.3g} times"


def _by_hand(case: Case) -> bool:
    """Whether the whole gradients are closer to each other than what ``model.losses`` adds to them."""
    interventions = case.explanation.interventions
    first, second = (trace.steps[0].gradients or [] for trace in case.first_step(interventions))
    return norm(subtract(first, second)) < MADE_UP * norm(subtract(*_parts(case, interventions)))


def _with_replicas(case: Case) -> tuple[Intervention, ...]:
    """What explains the gap; on all replicas, unless they are a cause: these losses alone may be added once by each."""
    found = case.explanation.interventions
    return found if case.is_scaled_by_replicas else tuple(one for one in found if one is not ONE_REPLICA)


def _parts(case: Case, interventions: Sequence[Intervention]) -> list[Arrays]:
    """The gradient of the model's own losses on either side."""
    pairs = zip(case.first_step(interventions), case.first_step((NO_ADDITIONAL_LOSSES, *interventions)), strict=True)
    return [_part(full, without) for full, without in pairs]


def _part(whole: Trace, rest: Trace) -> Arrays:
    full, without = whole.steps[0].gradients, rest.steps[0].gradients
    assert full is not None
    assert without is not None
    return subtract(full, without)
