"""The last batch, which is mostly smaller than the others."""

import numpy as np

from loopbench.spec import Cause
from loopbench_diagnose.case import Case
from loopbench_diagnose.data import leaves
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, percent, word
from loopbench_diagnose.interventions import ONE_REPLICA
from loopbench_diagnose.reasons import Reason


def probe(case: Case, findings: Findings) -> None:
    """Compares the gradient's ratio on part of a batch with that on a whole one."""
    whole, part = case.batch_size, max(1, case.batch_size // 2)
    # On one replica: of a small batch some may have no share, and no gradient.
    interventions = dict.fromkeys((*case.explanation.interventions, *([ONE_REPLICA] if max(case.replicas) > 1 else [])))
    full, small = case.ratio([*interventions]), case.ratio([*interventions], part)
    if whole == part or full is None or small is None or not case.explanation.closed or not case.same_inputs:
        return
    change, share = small.scale / full.scale, part / whole
    told = f"Gradient ratio on {part} samples over that on {whole}."
    if small.residual > case.tolerance or abs(change - 1) < case.tolerance:
        findings.control("partial_batch", told, 1.0, change)
        return
    side = 1 if abs(change - share) < abs(change - 1 / share) else 0
    part_ratio = evidence("gradient_ratio/partial_batch", f"Gradient ratio on {part} samples.", 1.0, small.scale)
    if _is_a_sum(case, full.scale if side else 1 / full.scale):
        findings.extend(Reason.LOSS_REDUCTION, [part_ratio])
        return
    last = len(case.data) % whole
    findings.cause(
        Cause(
            reason=Reason.FIXED_DIVISOR,
            title=f"The {word(side)} loss divides by {whole}, however many samples a batch holds",
            evidence=(
                evidence("gradient_ratio/whole_batch", f"Gradient ratio on {whole} samples.", 1.0, full.scale),
                part_ratio,
                evidence("partial_batch", f"{told} A fixed divisor makes it {share:.4g}, or 1 over it.", 1.0, change),
            ),
            effect=f"The last batch of every epoch counts for less: one of {last} samples for {percent(last / whole)} "
            f"of what it should. A set that {whole} divides is not touched in its gradients; a reported loss is wrong "
            "wherever a batch is smaller.",
            fix="Divide by the number of samples in the batch at hand: a mean instead of a sum over a constant.",
            side=SIDES[side],
        ),
        Severity.TRAINING,
        abs(change - 1) / max(1, len(case.data) // whole),
    )


def _is_a_sum(case: Case, scale: float) -> bool:
    """Whether a side divides by nothing at all, which is told as the scale that it is."""
    outputs = (int(np.prod(leaf.shape[1:])) for leaf in leaves(case.batch()[0].steps[0].call.outputs))
    return any(abs(scale / (case.batch_size * count) - 1) < case.tolerance for count in {1, *outputs})
