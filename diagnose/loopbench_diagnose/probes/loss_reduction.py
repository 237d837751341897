"""A gradient that is the other one times a number: a sum where the other takes a mean."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from loopbench.spec import Cause, Effect, Evidence, Reason
from loopbench_diagnose.data import leaves
from loopbench_diagnose.effects import effect_of_scale, inner, learning_rate
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, percent, word
from loopbench_diagnose.gradients import ratio
from loopbench_diagnose.trace import Array, Trace


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares the losses and the first gradients, variable by variable."""
    explanation = experiment.explanation
    first, second = experiment.batch(experiment.explained)
    if not first.steps or not second.steps or not experiment.same_inputs:
        return
    found = explanation.ratio
    losses = first.steps[0].loss, second.steps[0].loss
    measured = (
        evidence("loss_ratio", "Loss of the first batch, second over first.", 1.0, _over(losses[1], losses[0])),
        evidence("gradient_ratio", "First gradient, second over first, over all variables.", 1.0, found.scale),
        evidence("gradient_ratio_spread", "Largest relative distance of one variable's ratio.", 0.0, found.spread),
        *_by_variable(experiment),
        *_movements(first, second),
    )
    if not explanation.closed:
        return
    if abs(found.scale - 1) < experiment.tolerance:
        findings.agree(measured)
        return
    if _is_of_masks(experiment, findings, found.scale, measured) or Reason.ACCUMULATION in findings.reasons:
        return
    effect = effect_of_scale(second.optimizers, first.steps, found.scale)
    findings.cause(
        Cause(
            reason=Reason.LOSS_REDUCTION,
            title=f"The second loss, and with it every gradient, is {found.scale:.6g} times the first",
            evidence=measured,
            consequence=effect.text,
            fix=f"Reduce both losses in the same way{_named(experiment, found.scale)}, or, where the optimizer is "
            f"plain SGD, multiply the second side's learning rate by {_rate(second.optimizers, 1 / found.scale)}.",
        ),
        Effect.TRAINING,
        effect.change,
    )


def _rate(optimizers: Sequence[Any], factor: float) -> str:
    """The factor, and what it makes of the rate of SGD, if that is one number."""
    optimizer = inner(optimizers[-1]) if optimizers else None
    rate = learning_rate(optimizer) if isinstance(optimizer, keras.optimizers.SGD) else None
    return f"{factor:.6g}" + (f" (from {rate:.6g} to {rate * factor:.6g})" if rate is not None else "")


def _is_of_masks(experiment: Experiment, findings: Findings, scale: float, measured: tuple[Evidence, ...]) -> bool:
    """A scale that is the share of positions that count: masked losses, divided by all positions or by those."""
    first, second = experiment.batch()
    given = [trace.steps[0].output_gradients for trace in (first, second)]
    if not all(given):
        return False
    counted = _counted(given[0][0].gradient, scale, experiment.tolerance)
    if counted is None:
        return False
    side = 1 if scale < 1 else 0
    effect = effect_of_scale(second.optimizers, first.steps, scale)
    findings.cause(
        difference(
            Reason.MASK,
            f"The {word(side)} side divides its masked loss by all positions, the other by the {percent(counted)} "
            f"that count",
            measured,
            consequence=effect.text,
            fix="Divide by the sum of the mask on both sides.",
            side=side,
        ),
        Effect.TRAINING,
        effect.change,
    )
    return True


def _counted(gradient: Array, scale: float, tolerance: float) -> float | None:
    """The share of positions, or of values, that have a gradient, where ``scale`` or its inverse is that share."""
    values = gradient != 0
    shares = (float((np.any(values, axis=-1) if gradient.ndim > 1 else values).mean()), float(values.mean()))
    fits = (share for share in shares if min(abs(scale / share - 1), abs(scale * share - 1)) < tolerance)
    return next((share for share in fits if share < 1 - tolerance), None)


def _over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def _movements(first: Trace, second: Trace) -> list[Evidence]:
    """How far the weights move after one step and after several, second over first."""
    last = min(len(first.steps), len(second.steps))
    return [
        evidence(
            f"movement_ratio/{count}",
            f"Movement of the weights after {count} {'step' if count == 1 else 'steps'}, second over first.",
            1.0,
            ratio(first.movement(count), second.movement(count)).scale,
        )
        for count in sorted({1, last})
    ]


def _by_variable(experiment: Experiment) -> list[Evidence]:
    ratios = zip(experiment.names, experiment.explanation.ratio.by_variable, strict=False)
    return [
        evidence(f"gradient_ratio/{name}", f"First gradient of {name}, second over first.", 1.0, value)
        for name, value in ratios
        if np.isfinite(value)
    ]


def _named(experiment: Experiment, scale: float) -> str:
    """What the scale is the number of, where it is one."""
    step = experiment.batch()[0].steps[0]
    batch = len(step.call.rows)
    outputs = {int(np.prod(leaf.shape[1:])) for leaf in leaves(step.call.outputs)}
    known = {
        batch: f"{batch} is the number of samples in the batch",
        **{batch * count: f"{batch * count} is {batch} samples by {count} outputs" for count in outputs},
        **{count: f"{count} is the number of outputs" for count in outputs},
    }
    for count, name in known.items():
        for value, side in ((scale, "second"), (1 / scale, "first")):
            if count > 1 and abs(value / count - 1) < experiment.tolerance:
                return f" ({name}: the {side} side seems to sum over them where the other takes a mean)"
    return ""
