"""Activations of hidden layers."""

from collections.abc import Iterator

import numpy as np

from loopbench.spec import Reason
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.program.surgery import RECTIFIERS, RECURRENT, SATURATING, activation_of
from loopbench_diagnose.variables import parameters

# The gradient of the first kernel over that of the last one, root mean squares, at which it vanishes.
VANISHING = 0.03
# The part of a layer's units that give 0 for all samples.
DEAD = 0.5


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Rectifiers in place of functions that saturate or of none, leaky ones in place of others that died."""
    parts = bench.anatomy
    used = {name for layer in parts.hidden if (name := activation_of(layer)) is not None}
    if found := used & SATURATING:
        names = " and ".join(sorted(found))
        small = first_over_last(bench)
        vanishes = small < VANISHING
        yield Remedy(
            Reason.ZERO_GRADIENT if vanishes else Reason.MODEL,
            f"The gradient vanishes behind hidden layers with {names}: {small:.1g} of the last one is left"
            if vanishes
            else f"Hidden layers with {names} learn slowly",
            "Give the hidden layers relu",
            {"hidden": ("relu", SATURATING)},
        )
    if used & RECTIFIERS and (dead := dead_units(bench)) >= DEAD:
        title = f"{dead:.0%} of the units of a layer with relu give 0 for all samples, and get no gradient"
        leaky = {"hidden": ("leaky_relu", RECTIFIERS)}
        yield Remedy(Reason.DEAD_UNITS, title, "Give the hidden layers leaky_relu", leaky)
        yield Remedy(Reason.DEAD_UNITS, title, "Leave the initializers at their defaults", {"initial": True})
    if parts.linear_chains():
        yield Remedy(
            Reason.MODEL,
            "Layers follow each other without an activation between them, and act as one linear layer",
            "Give the hidden layers relu",
            {"between": "relu"},
        )
    own = [layer for layer in parts.order if isinstance(layer, RECURRENT)]
    if any(activation_of(layer) != "tanh" for layer in own):
        yield Remedy(
            Reason.MODEL,
            f"A recurrent layer has {activation_of(own[0])}, which lets its state grow",
            "Give recurrent layers tanh",
            {"recurrent": "tanh"},
        )


def first_over_last(bench: Bench) -> float:
    """The size of the first kernel's gradient over that of the last one, in the first updates."""
    steps = [step.gradients for step in bench.program.trace.steps if step.gradients is not None]
    places = [place for place, one in enumerate(parameters(bench.program.harness.prototype)) if one.ndim > 1]
    if not steps or len(places) < 2:  # noqa: PLR2004  a first and a last one
        return 1.0
    first, last = (
        float(np.sqrt(np.mean([np.mean(gradients[place] ** 2) for gradients in steps])))
        for place in (places[0], places[-1])
    )
    return first / last if last else 1.0


def dead_units(bench: Bench) -> float:
    """The largest part of a layer's rectified units that give 0 for all samples at the end of the training."""
    shares = [
        float(np.mean(np.abs(values).reshape(-1, values.shape[-1]).max(axis=0) == 0))
        for layer, values in bench.hidden_values()
        if activation_of(layer) in RECTIFIERS
    ]
    return max(shares, default=0.0)
