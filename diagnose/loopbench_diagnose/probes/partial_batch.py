"""The last batch, which is mostly smaller than the others."""

from loopbench.spec import Cause
from loopbench_diagnose.case import Case
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, percent, word


def probe(case: Case, findings: Findings) -> None:
    """Compares the gradient's ratio on part of a batch with that on a whole one."""
    whole, part = case.batch_size, max(1, case.batch_size // 2)
    full = case.ratio(case.explanation.interventions)
    small = case.ratio(case.explanation.interventions, part)
    if whole == part or full is None or small is None or not case.explanation.closed or not case.same_inputs:
        return
    change, share = small.scale / full.scale, part / whole
    told = f"Gradient ratio on {part} samples over that on {whole}."
    if small.residual > case.tolerance or abs(change - 1) < case.tolerance:
        findings.control("partial_batch", told, 1.0, change)
        return
    side = 1 if abs(change - share) < abs(change - 1 / share) else 0
    last = len(case.data) % whole
    findings.cause(
        Cause(
            reason="FIXED_DIVISOR",
            title=f"The {word(side)} loss divides by {whole}, however many samples a batch holds",
            evidence=(
                evidence("gradient_ratio/whole_batch", f"Gradient ratio on {whole} samples.", 1.0, full.scale),
                evidence("gradient_ratio/partial_batch", f"Gradient ratio on {part} samples.", full.scale, small.scale),
                evidence("partial_batch", f"{told} {part}/{whole} is a fixed divisor.", share, change),
            ),
            effect=f"The last batch of every epoch counts for less: one of {last} samples for {percent(last / whole)} of "
            f"what it should. A set that {whole} divides is not touched in its gradients; a reported loss is wrong "
            "wherever a batch is smaller.",
            fix="Divide by the number of samples in the batch at hand: a mean instead of a sum over a constant.",
            side=SIDES[side],
        ),
        Severity.TRAINING,
        abs(change - 1) / max(1, len(case.data) // whole),
    )
