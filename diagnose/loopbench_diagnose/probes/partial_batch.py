"""The last batch, which is mostly smaller than the others."""

import numpy as np

from loopbench.spec import Cause, Effect, Reason
from loopbench.text import counted
from loopbench_diagnose.data import leaves
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, percent, word
from loopbench_diagnose.interventions import NO_ADDITIONAL_LOSSES, ONE_REPLICA
from loopbench_diagnose.probes import batch_factor

# Relative; beside another difference a fixed divisor does not make the ratio to the letter.
DIVISOR = 0.1


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares the gradient's ratio on part of a batch with that on a whole one."""
    # Samples hold different numbers of positions that count: a mask scales every batch by itself.
    if findings.reasons & {Reason.MASK, Reason.ACCUMULATION}:
        return
    if experiment.harness.fixed_batch is not None or experiment.demands_whole_batches:
        return
    whole, part = experiment.batch_size, max(1, experiment.batch_size // 2)
    # On one replica: of a small batch some may have no share, and no gradient.
    interventions = dict.fromkeys(
        (*experiment.explanation.interventions, *([ONE_REPLICA] if max(experiment.replicas) > 1 else []))
    )
    full, small = experiment.ratio([*interventions]), experiment.ratio([*interventions], part)
    if small is not None and small.residual > experiment.tolerance and experiment.has_additional_losses:
        # A penalty does not follow the size of a batch.
        interventions[NO_ADDITIONAL_LOSSES] = None
        full, small = experiment.ratio([*interventions]), experiment.ratio([*interventions], part)
    if (
        whole == part
        or full is None
        or small is None
        or not experiment.explanation.closed
        or not experiment.same_inputs
    ):
        return
    change, share = small.scale / full.scale, part / whole
    stated = f"Gradient ratio on {counted(part, 'sample')} over that on {whole}."
    if small.residual > experiment.tolerance or abs(change - 1) < experiment.tolerance:
        findings.control("partial_batch", stated, 1.0, change)
        return
    side = 1 if abs(change - share) < abs(change - 1 / share) else 0
    part_ratio = evidence(
        "gradient_ratio/partial_batch", f"Gradient ratio on {counted(part, 'sample')}.", 1.0, small.scale
    )
    if _is_a_sum(experiment, full.scale if side else 1 / full.scale):
        findings.extend(Reason.LOSS_REDUCTION, [part_ratio])
        return
    measured = (
        evidence("gradient_ratio/whole_batch", f"Gradient ratio on {counted(whole, 'sample')}.", 1.0, full.scale),
        part_ratio,
        evidence("partial_batch", f"{stated} A fixed divisor makes it {share:.4g}, or 1 over it.", 1.0, change),
    )
    if min(abs(change / share - 1), abs(change * share - 1)) > DIVISOR:
        pairs = [experiment.first_step([*interventions], count) for count in (whole, part)]
        batch_factor.report(experiment, findings, pairs, (full.scale, small.scale), measured)
        return
    last = len(experiment.data) % whole
    findings.cause(
        Cause(
            reason=Reason.FIXED_DIVISOR,
            title=f"The {word(side)} loss divides by {whole}, however many samples a batch holds",
            evidence=measured,
            consequence=f"The last batch of every epoch counts for less: one of {last} samples for "
            f"{percent(last / whole)} "
            f"of what it should. A set that {whole} divides is not touched in its gradients; a reported loss is wrong "
            "wherever a batch is smaller.",
            fix="Divide by the number of samples in the batch at hand: a mean instead of a sum over a constant.",
            side=SIDES[side],
        ),
        Effect.TRAINING,
        abs(change - 1) / max(1, len(experiment.data) // whole),
    )


def _is_a_sum(experiment: Experiment, scale: float) -> bool:
    """Whether a side divides by nothing at all, which is reported as a scale."""
    outputs = (int(np.prod(leaf.shape[1:])) for leaf in leaves(experiment.batch()[0].steps[0].call.outputs))
    return any(abs(scale / (experiment.batch_size * count) - 1) < experiment.tolerance for count in {1, *outputs})
