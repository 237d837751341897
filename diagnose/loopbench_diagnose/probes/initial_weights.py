"""Initial weights of the sides' own factories, before they are made equal."""

import numpy as np

from loopbench.spec import Effect, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence
from loopbench_diagnose.recording.values import snapshot
from loopbench_diagnose.trace import Array, Arrays
from loopbench_diagnose.variables import parameters

# Two draws of one distribution: their spreads differ by less than this factor at the sizes of FEWEST values and more.
SPREAD = 1.6
FEWEST = 30
SEEDS = (11, 12)


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares what the factories make under two seeds: constants, and the spread of what is drawn."""
    sides = experiment.sides
    if sides[0].build_model is sides[1].build_model:
        return
    drawn = [[_made(experiment, side, seed) for seed in SEEDS] for side in (0, 1)]
    names = experiment.harness.names
    for place, name in enumerate(names):
        stated = _different([drawn[side][0][place] for side in (0, 1)], [drawn[side][1][place] for side in (0, 1)])
        if stated is None:
            continue
        spreads = [float(np.std(drawn[side][0][place])) for side in (0, 1)]
        findings.cause(
            difference(
                Reason.INITIAL_WEIGHTS,
                f"The factories initialize {name} differently: {stated}",
                [evidence("spread", f"Standard deviation of the initial {name}, first and second.", *spreads)],
                consequence="The trainings start from other weights. All other experiments start from the first "
                "side's.",
                fix="Use the same initializers, and load the same weights, in both factories.",
            ),
            Effect.TRAINING,
            1.0,
        )
        return
    findings.control("initial_weights", "Both factories initialize the weights alike, but for the seed.")


def _made(experiment: Experiment, side: int, seed: int) -> Arrays:
    return snapshot(parameters(experiment.harness.made(experiment.sides[side].build_model, seed)))


def _different(first: list[Array], again: list[Array]) -> str | None:
    """How the two sides' values of a variable differ, under one seed and under another."""
    fixed = [np.array_equal(one, other) for one, other in zip(first, again, strict=True)]
    words = ["the same values under every seed" if value else "drawn again for every seed" for value in fixed]
    if fixed[0] != fixed[1]:
        return f"first {words[0]}, second {words[1]}"
    if all(fixed):
        return None if np.allclose(first[0], first[1], atol=1e-7) else "two fixed sets of values"
    if first[0].size < FEWEST:
        return None
    spreads = [float(np.std(value)) for value in first]
    if max(spreads) > SPREAD * max(min(spreads), 1e-12):
        return f"standard deviations {spreads[0]:.3g} and {spreads[1]:.3g}"
    return None
