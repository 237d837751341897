"""What a difference does to training under an optimizer: copies of that optimizer are fed the same gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.findings import multiple, percent
from loopbench_diagnose.gradients import gap, ratio, subtract
from loopbench_diagnose.recording.values import float64
from loopbench_diagnose.settings import copy_of, settings
from loopbench_diagnose.trace import Arrays, Step

# Relative changes of the updates below it are next to no effect: of a scale, what epsilon leaves of it.
NEGLIGIBLE = 0.1
PROPORTIONAL = 0.01


def inner(optimizer: Any) -> Any:
    """The optimizer that makes the updates; that within, where the loss is scaled around it."""
    return optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer


def updates(optimizer: Any, weights: Arrays, gradients: Sequence[Arrays]) -> Arrays:
    """The sum of the updates that a new copy of ``optimizer`` makes of ``gradients``, from ``weights`` on."""
    variables = [keras.Variable(value, dtype="float32", trainable=True) for value in weights]
    start = [float64(variable) for variable in variables]
    optimizer.build(variables)
    for arrays in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(array, "float32") for array in arrays], variables)
    return subtract([float64(variable) for variable in variables], start)


@dataclass(frozen=True)
class Effect:
    """``change`` is the relative change of the updates, ``text`` says it."""

    change: float
    text: str


def learning_rate(optimizer: Any) -> float | None:
    """Of an optimizer whose rate is one number; None where it follows a schedule."""
    rate = getattr(optimizer, "_learning_rate", None)
    return float(float64(rate)) if isinstance(rate, keras.Variable) else None


# Fields of a configuration that make an optimizer take little notice of a gradient's scale; the stronger ones first.
WHY: dict[str, str] = {
    "clipnorm": ", which clips the gradient's length",
    "global_clipnorm": ", which clips the gradient's length",
    "clipvalue": ", which clips the gradient",
    "beta_2": ", which divides the gradient by its own size",
    "rho": ", which divides the gradient by its own size",
}


def _why(optimizer: Any) -> str:
    config = settings(optimizer)
    return next((words for name, words in WHY.items() if config.get(name) is not None), "")


def effect_of_scale(optimizers: Sequence[Any], steps: Sequence[Step], scale: float) -> Effect:
    """What gradients that are ``scale`` times as large do under the last of ``optimizers``, where there is one.

    Plain SGD's updates are proportional to the gradient, so a scale of the loss is a scale of the learning rate. Adam
    and RMSprop divide the gradient by its own running size (Kingma and Ba 2015, section 2.1): there it cancels but for
    epsilon. Which of the two it is, is measured.
    """
    if not optimizers:
        return Effect(finite(abs(scale - 1)), f"The updates are {scale:.6g} times as large.")
    optimizer = inner(optimizers[-1])
    kept = [step.gradients for step in steps if step.gradients is not None]
    weights = steps[0].weights
    assert weights is not None
    name, rate = type(optimizer).__name__, learning_rate(optimizer)
    plain = updates(copy_of(optimizer), weights, kept)
    scaled = updates(copy_of(optimizer), weights, [[scale * array for array in arrays] for arrays in kept])
    change, times = gap(plain, scaled), ratio(plain, scaled).scale
    if change < min(NEGLIGIBLE, NEGLIGIBLE * abs(scale - 1)):
        return Effect(change, f"Next to none under {name}{_why(optimizer)}: the updates change by {percent(change)}.")
    if abs(times / scale - 1) < PROPORTIONAL:
        same = f": {rate * scale:g} instead of {rate:g}" if rate is not None else ""
        return Effect(
            change,
            f"Under {name} the updates are {scale:.6g} times as large, as with a learning rate {scale:.6g} times as "
            f"large{same}.",
        )
    return Effect(change, f"Under {name} the updates change by {percent(change)}.")


def effect_of_field(optimizer: Any, steps: Sequence[Step], changes: Mapping[str, Any]) -> float:
    """Relative change of the updates where ``optimizer`` is configured with ``changes``; infinite if it cannot be."""
    kept = [step.gradients for step in steps if step.gradients is not None]
    weights = steps[0].weights
    assert weights is not None
    try:
        changed = copy_of(optimizer, **changes)
    except (TypeError, ValueError):
        return float("inf")
    return gap(updates(copy_of(optimizer), weights, kept), updates(changed, weights, kept))


def effect_of_gap(size: float) -> str:
    """A sentence on a gap between first gradients that is no scale."""
    return f"The first gradient differs by {multiple(size)} its norm, so the two follow different paths from step 1."


def finite(value: float) -> float:
    """A size to rank by: what is not finite counts as very large."""
    return float(value) if np.isfinite(value) else 1e9
