"""Losses whose gradients differ by a factor that every batch has for itself."""

from collections.abc import Callable, Sequence

import numpy as np

from loopbench.spec import Effect, Evidence, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, word
from loopbench_diagnose.first_gradients import Pair

# Functions that people apply to the mean of a batch.
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "the square root of": np.sqrt,
    "the square of": np.square,
    "the logarithm of": np.log,
    "the logarithm of 1 plus": np.log1p,
}


def report(
    experiment: Experiment,
    findings: Findings,
    pairs: Sequence[Pair],
    ratios: Sequence[float],
    measured: Sequence[Evidence],
) -> None:
    """Adds the cause; ``pairs`` are both sides on two batches, ``ratios`` those of their gradients."""
    losses = [(first.steps[0].loss, second.steps[0].loss) for first, second in pairs]
    size = max(abs(one - 1) for one in ratios)
    factors = f"{ratios[0]:.4g} times the first's on one batch, {ratios[1]:.4g} times on another"
    consequence = f"The second side's gradient is {factors}. No learning rate makes up for it."
    if _proportional(losses, ratios, experiment.tolerance):
        cause = difference(
            Reason.LOSS_REDUCTION,
            "The sides divide the sum of their losses by different sums, which change with the batch",
            measured,
            consequence=consequence,
            fix="Divide by the number of samples, or by the sum of their weights (mean_with_sample_weight), on both.",
        )
    else:
        cause = difference(
            Reason.LOSS_FUNCTION,
            _title(losses, experiment.tolerance),
            measured,
            consequence=consequence,
            fix="Take the mean of the same loss of each sample on both sides, without a function of that mean.",
        )
    findings.drop([Reason.LOSS_REDUCTION])
    findings.cause(cause, Effect.TRAINING, size)


def _proportional(losses: Sequence[tuple[float, float]], ratios: Sequence[float], tolerance: float) -> bool:
    """Whether the losses themselves have the factors of the gradients."""
    return all(
        abs(second - ratio * first) <= tolerance * abs(second)
        for (first, second), ratio in zip(losses, ratios, strict=True)
    )


def _title(losses: Sequence[tuple[float, float]], tolerance: float) -> str:
    for name, function in FUNCTIONS.items():
        for side in (1, 0):
            pairs = [(pair[1 - side], pair[side]) for pair in losses]
            if all(of > 0 and abs(function(of) - value) <= tolerance * abs(value) for of, value in pairs):
                return f"The {word(side)} loss is {name} the other's mean over the batch"
    return "One loss is a function of the other's mean over the batch"
