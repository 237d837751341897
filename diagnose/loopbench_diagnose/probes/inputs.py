"""Both sides have to feed the model the same samples."""

import numpy as np

from loopbench.spec import Cause, Effect, Evidence
from loopbench_diagnose.data import leaves
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, evidence, word
from loopbench_diagnose.reasons import Reason


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares what the model was given of the same batch: pixels scaled on one side alone, for example."""
    if experiment.same_inputs:
        findings.control("inputs", "Both sides feed the model the same samples.")
        return
    findings.cause(
        Cause(
            reason=Reason.INPUTS,
            title="The model is fed other inputs from the same data",
            evidence=tuple(_range(experiment, side) for side in (0, 1)),
            consequence="Nothing that follows can be compared, and neither can the accuracies.",
            fix="Prepare the inputs in the same way on both sides: the same scaling, the same order of axes.",
        ),
        Effect.TRAINING,
        1e9,
    )


def _range(experiment: Experiment, side: int) -> Evidence:
    steps = experiment.batch()[side].steps
    values = [np.asarray(leaf, np.float64) for step in steps[:1] for leaf in leaves(step.call.inputs)]
    told = ", ".join(
        f"shape {value.shape}, {value.min():.4g} to {value.max():.4g}, mean {value.mean():.4g}" for value in values
    )
    return evidence(f"{word(side)}_inputs", f"The {word(side)} side's first batch: {told or 'none'}.")
