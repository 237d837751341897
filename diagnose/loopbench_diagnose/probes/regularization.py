"""Losses that the model adds by itself, and that a hand-written loss has to add as well."""

from loopbench.spec import Cause
from loopbench_diagnose.case import Case
from loopbench_diagnose.consequences import finite
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, percent, word
from loopbench_diagnose.gradients import gap, norm, subtract
from loopbench_diagnose.interventions import NO_ADDITIONAL_LOSSES
from loopbench_diagnose.trace import Arrays

# Of the gradient's length; below it the part is rounding.
SMALLEST_PART = 1e-5
SAME = 0.05


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
    lacking = 0 if sizes[0] < sizes[1] else 1
    left_out = sizes[lacking] < SAME * sizes[1 - lacking]
    share = abs(sizes[0] - sizes[1]) / whole
    findings.cause(
        Cause(
            reason="REGULARIZATION",
            title=f"The {word(lacking)} side {'leaves out' if left_out else 'weighs differently'} the regularization losses",
            evidence=(
                evidence(
                    "regularization_gradient",
                    f"Length of what sum(model.losses) adds to the gradient: first {sizes[0]:.4g}, second {sizes[1]:.4g}.",
                    sizes[1 - lacking],
                    sizes[lacking],
                ),
            ),
            effect=f"The gradient lacks {percent(share)} of its length, and the weights are not held small as intended.",
            fix="Add sum(model.losses) to the loss, once and unscaled, before the gradient is taken.",
            side=SIDES[lacking],
        ),
        Severity.TRAINING,
        finite(share),
    )


def _part(case: Case, side: int) -> Arrays:
    """The gradient of the model's own losses on a side."""
    interventions = case.explanation.interventions
    full = case.batch(interventions)[side].steps[0].gradients
    without = case.batch((NO_ADDITIONAL_LOSSES, *interventions))[side].steps[0].gradients
    assert full is not None
    assert without is not None
    return subtract(full, without)
