"""Both sides have to feed the model the same samples."""

import numpy as np

from loopbench.spec import Effect, Evidence, Reason
from loopbench_diagnose.data import leaves
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, word
from loopbench_diagnose.trace import Array

# Standard deviations of two random augmentations differ if they differ by more than this part.
SPREAD = 0.15


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares what the model was given of the same batch: pixels scaled on one side alone, for example."""
    if Reason.REPEATED_RANDOMNESS in findings.reasons:
        return
    if not experiment.inputs_differ:
        findings.control("inputs", "Both sides feed the model the same samples.")
        return
    random = [experiment.random_inputs(side) for side in (0, 1)]
    if all(random) and _alike(experiment):
        findings.control(
            "inputs", "Both sides change their samples at random, by about as much; they draw other numbers."
        )
        return
    stated = f": only the {word(0 if random[0] else 1)} side changes them at random" if random[0] != random[1] else ""
    findings.cause(
        difference(
            Reason.INPUTS,
            f"The model is fed other inputs from the same data{stated}",
            [_range(experiment, side) for side in (0, 1)],
            consequence="The gradients are those of other inputs. The other experiments feed both sides the first's.",
            fix="Prepare the inputs in the same way on both sides: the same scaling, the same augmentation, the same "
            "order of axes.",
        ),
        Effect.TRAINING,
        1e9,
    )


def _first_inputs(experiment: Experiment, side: int) -> list[Array]:
    steps = experiment.epochs[side].steps[:4]
    return [
        np.asarray(leaf, np.float64)
        for step in steps
        for leaf in leaves(step.call.inputs)
        if np.asarray(leaf).dtype.kind in "fiub"
    ]


def _alike(experiment: Experiment) -> bool:
    """Whether the inputs of both sides have the same shapes and spread."""
    sides = [_first_inputs(experiment, side) for side in (0, 1)]
    if [value.shape for value in sides[0]] != [value.shape for value in sides[1]]:
        return False
    spreads = [[(float(value.mean()), float(value.std())) for value in side] for side in sides]
    return all(
        abs(one[1] - other[1]) <= SPREAD * max(one[1], other[1])
        and abs(one[0] - other[0]) <= SPREAD * max(one[1], other[1])
        for one, other in zip(*spreads, strict=True)
    )


def _range(experiment: Experiment, side: int) -> Evidence:
    steps = experiment.epochs[side].steps
    values = [np.asarray(leaf) for step in steps[:1] for leaf in leaves(step.call.inputs)]
    stated = ", ".join(
        f"shape {value.shape}, {value.min():.4g} to {value.max():.4g}, mean {value.mean():.4g}"
        for value in values
        if value.dtype.kind in "fiub"
    )
    return evidence(f"{word(side)}_inputs", f"The {word(side)} side's first batch: {stated or 'no numbers'}.")
