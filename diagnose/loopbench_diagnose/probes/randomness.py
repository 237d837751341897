"""Random masks and augmentations that are the same at every step."""

from typing import Any

import numpy as np

from loopbench.spec import Effect, Reason
from loopbench_diagnose.comparison import same_values
from loopbench_diagnose.data import leaves
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, word
from loopbench_diagnose.trace import Trace

FEWEST = 2
# Relative differences below it are rounding, as of the mean of a value with itself.
ROUNDING = 1e-5


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares the seeds that random layers draw with, and what is done to the same sample in several batches."""
    traces = experiment.epochs
    repeated = [repeats_draws(trace) for trace in traces]
    if not any(repeated) and experiment.inputs_differ and experiment.observed.first_inputs is not None:
        repeated = [repeats_inputs(experiment.with_one_sample(side)) for side in (0, 1)]
    if repeated[0] == repeated[1]:
        return
    side = 0 if repeated[0] else 1
    findings.cause(
        difference(
            Reason.REPEATED_RANDOMNESS,
            f"The {word(side)} side draws the same random numbers at every step",
            [evidence("repeated", "Whether consecutive steps draw the same, first and second.", *map(float, repeated))],
            consequence="Masks or augmentations do not vary over the training: the model sees one draw of them.",
            fix="Create the random generator once, before the loop, and set no seed within it; give layers a "
            "SeedGenerator "
            "in place of a number.",
            side=side,
        ),
        Effect.TRAINING,
        1.0,
    )


def repeats_draws(trace: Trace) -> bool:
    """Whether all recorded steps draw the same."""
    draws = [step.draws for step in trace.steps if step.draws]
    return len(draws) >= FEWEST and all(one == draws[0] for one in draws)


def repeats_inputs(trace: Trace) -> bool:
    """Whether a loop changes its samples at random, and in every batch alike; ``trace`` has one sample in every place.

    What differs within a batch is then random, and what is the same in every batch repeats.
    """
    inputs = [leaves(step.call.inputs) for step in trace.steps]
    whole = [made for made in inputs if len(made[0]) == len(inputs[0][0])] if inputs else []
    if len(whole) < FEWEST or not any(map(_varies, whole[0])):
        return False
    return all(same_values(made, whole[0]) for made in whole[1:])


def _varies(leaf: Any) -> bool:
    """Whether the rows differ by more than rounding."""
    values = np.asarray(leaf, np.float64)
    return bool(np.ptp(values, axis=0).max(initial=0.0) > ROUNDING * np.abs(values).max(initial=0.0))
