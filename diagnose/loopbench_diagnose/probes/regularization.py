"""Losses that the model adds by itself, and that a hand-written loss has to add as well."""

from loopbench.spec import Cause
from loopbench_diagnose.case import Case
from loopbench_diagnose.consequences import finite
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, percent, word
from loopbench_diagnose.gradients import gap, norm, subtract
from loopbench_diagnose.interventions import NO_ADDITIONAL_LOSSES
from loopbench_diagnose.reasons import Reason
from loopbench_diagnose.trace import Arrays

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
    parts = [_part(case, side) for side in (0, 1)]
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
    if _by_hand(case, parts):
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


def _by_hand(case: Case, parts: list[Arrays]) -> bool:
    """Whether the whole gradients are closer to each other than what ``model.losses`` adds to them."""
    first, second = (trace.steps[0].gradients or [] for trace in case.batch(case.explanation.interventions))
    return norm(subtract(first, second)) < MADE_UP * norm(subtract(*parts))


def _part(case: Case, side: int) -> Arrays:
    """The gradient of the model's own losses on a side."""
    interventions = case.explanation.interventions
    full = case.batch(interventions)[side].steps[0].gradients
    without = case.batch((NO_ADDITIONAL_LOSSES, *interventions))[side].steps[0].gradients
    assert full is not None
    assert without is not None
    return subtract(full, without)
