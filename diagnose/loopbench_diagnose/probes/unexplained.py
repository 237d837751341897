"""A gap that nothing closes is reported too, with all that is known of it."""

import numpy as np

from loopbench.spec import Cause, Effect, Reason
from loopbench_diagnose.effects import effect_of_gap, finite
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import GRADIENT_GAP, Findings, evidence

# Causes of a difference of gradients that no intervention takes away.
EXPLAINED = frozenset(
    {
        Reason.NOT_REPEATABLE,
        Reason.NON_FINITE,
        Reason.MODEL,
        Reason.LOSS_FUNCTION,
        Reason.FROM_LOGITS,
        Reason.LABELS,
        Reason.LABELS_BROADCAST,
        Reason.MASK,
        Reason.LOSS_WEIGHTS,
        Reason.SAMPLE_WEIGHTS,
        Reason.REGULARIZATION,
        Reason.ACCUMULATION,
        Reason.LAYER_STATE,
        Reason.SAMPLES,
        Reason.PAIRS_SHUFFLED_APART,
    }
)
TRIED = "sample weights, the training flag, shapes of labels, from_logits, pairs, regularization, a scale"


def probe(experiment: Experiment, findings: Findings) -> None:
    """Reports the gradients' ratios, variable by variable."""
    # What does not repeat itself differs from everything.
    if experiment.explanation.closed or not experiment.same_inputs or findings.reasons & EXPLAINED:
        return
    found = experiment.explanation.ratio
    findings.cause(
        Cause(
            reason=Reason.UNEXPLAINED_GRADIENT,
            title="The first gradients differ, and nothing that was tried brings them together",
            evidence=(
                evidence("gradient_gap", GRADIENT_GAP, 0.0, found.residual),
                *(
                    evidence(f"gradient_ratio/{name}", f"First gradient of {name}, second over first.", 1.0, value)
                    for name, value in zip(experiment.names, found.by_variable, strict=True)
                    if np.isfinite(value)
                ),
            ),
            consequence=effect_of_gap(found.residual),
            fix=f"Compare the two losses on one batch. Ruled out: {TRIED}.",
        ),
        Effect.TRAINING,
        finite(found.residual),
    )
