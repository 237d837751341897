"""Loss scaling: in float16 the loss has to be scaled, and wherever gradients are scaled back."""

import keras

from loopbench.spec import Cause, Effect, Reason
from loopbench_diagnose.effects import finite
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, word
from loopbench_diagnose.gradients import norm, subtract
from loopbench_diagnose.trace import Trace


def probe(experiment: Experiment, findings: Findings) -> None:
    """Looks for a loss scale optimizer, and for whether its scale_loss is called."""
    # Layers may have another policy than the model.
    in_float16 = "float16" in experiment.harness.compute_dtypes
    states = [_state(trace) for trace in experiment.batch()]
    if states[0] == states[1]:
        if in_float16:
            findings.control("loss_scaling", f"In float16, on both sides: each {states[0]}.")
        return
    if not in_float16 and UNSCALED not in states:
        # A scale that is divided out again changes nothing in wider types.
        return
    guilty = states.index(UNSCALED) if UNSCALED in states else next(side for side in (0, 1) if states[side] != SCALED)
    moved = [_moved(trace) for trace in experiment.batch()]
    times = moved[1] / moved[0] if moved[0] else float("inf")
    findings.cause(
        Cause(
            reason=Reason.LOSS_SCALING,
            title=f"The {word(guilty)} side {'computes in float16, but ' if in_float16 else ''}{states[guilty]}",
            evidence=(
                evidence("loss_scale", "Scale of the first batch's loss, first and second.", *_scales(experiment)),
                evidence("update_length", "Length of the first update, first and second.", *moved),
            ),
            consequence=f"The second's first update is {times:.3g} times as long as the first's."
            f"{' Without the scale small gradients vanish in float16.' if in_float16 else ''}",
            fix="Wrap the optimizer in keras.optimizers.LossScaleOptimizer, and take the gradient of "
            "optimizer.scale_loss(loss).",
            side=SIDES[guilty],
        ),
        Effect.TRAINING,
        finite(abs(times - 1)),
    )


SCALED = "scales the loss"
# A factor by hand that is smaller may be that of a sum.
SMALLEST_BY_HAND = 100
UNSCALED = "does not call scale_loss, though its optimizer divides by the scale"


def _state(trace: Trace) -> str:
    scaling = any(isinstance(optimizer, keras.optimizers.LossScaleOptimizer) for optimizer in trace.scaling_optimizers)
    if not scaling:
        return SCALED if trace.steps[0].loss_scale >= SMALLEST_BY_HAND else "has no loss scale optimizer"
    return SCALED if trace.steps[0].loss_scale != 1 else UNSCALED


def _scales(experiment: Experiment) -> tuple[float, float]:
    first, second = experiment.batch()
    return first.steps[0].loss_scale, second.steps[0].loss_scale


def _moved(trace: Trace) -> float:
    after = trace.steps[1].weights if len(trace.steps) > 1 else trace.weights
    before = trace.steps[0].weights
    return norm(subtract(after or [], before or []))
