"""Augmentations and noise that are the same at every step."""

from typing import Any

import numpy as np

from loopbench.spec import Effect, Reason
from loopbench_diagnose.comparison import same_values
from loopbench_diagnose.data import leaves, sample_keys
from loopbench_diagnose.findings import Findings, difference, evidence
from loopbench_diagnose.interventions import ONE_SAMPLE
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.trace import Trace

FEWEST = 2
# Relative differences below it are rounding, as of the mean of a value with itself.
ROUNDING = 1e-5


def check(program: Program, findings: Findings) -> None:
    """Compares the draws of the watched steps, and what the loop does to one sample in several batches."""
    if Reason.REPEATED_RANDOMNESS in findings.reasons:
        return
    if not _repeats_draws(program.trace) and not (_changes_inputs(program) and _repeats_inputs(program)):
        return
    findings.cause(
        difference(
            Reason.REPEATED_RANDOMNESS,
            "The loop draws the same random numbers at every step",
            [evidence("repeated", "Whether consecutive steps draw the same; 1 is yes.", 0.0, 1.0)],
            consequence="Masks, noise or augmentations do not vary over the training: the model sees one draw of them.",
            fix="Create the random generator once, before the loop, and set no seed within it; give layers a "
            "SeedGenerator in place of a number.",
        ),
        Effect.TRAINING,
        1.0,
    )


def _repeats_draws(trace: Trace) -> bool:
    draws = [step.draws for step in trace.steps if step.draws]
    return len(draws) >= FEWEST and all(one == draws[0] for one in draws)


def _changes_inputs(program: Program) -> bool:
    known = set(sample_keys(program.watched_data.x))
    return any(key not in known for step in program.trace.steps for key in step.call.rows)


def _repeats_inputs(program: Program) -> bool:
    """Whether samples are changed at random, and in every batch alike.

    With one sample in every place, what differs within a batch is random, and what is the same in every batch repeats.
    """
    size = len(program.trace.steps[0].call.rows)
    data = ONE_SAMPLE.data(program.watched_data.rows(slice(2 * size + 1)))
    trace = program.harness.watch(program.side, data, 1, updates=2 * FEWEST)
    inputs = [leaves(step.call.inputs) for step in trace.steps]
    whole = [made for made in inputs if len(made[0]) == len(inputs[0][0])] if inputs else []
    if len(whole) < FEWEST or not any(map(_varies, whole[0])):
        return False
    return all(same_values(made, whole[0]) for made in whole[1:])


def _varies(leaf: Any) -> bool:
    """Whether the rows differ by more than rounding."""
    values = np.asarray(leaf, np.float64)
    return bool(np.ptp(values, axis=0).max(initial=0.0) > ROUNDING * np.abs(values).max(initial=0.0))
