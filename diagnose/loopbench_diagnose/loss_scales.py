"""Scales of the loss that a loop multiplies with and divides by itself, as a loss scale optimizer does."""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

from loopbench_diagnose import clips
from loopbench_diagnose.gradients import flat, gap, norm, ratio
from loopbench_diagnose.trace import Step, Trace

# Relative: of divisions by the same number in single precision. Clips by norm differ by more.
SAME = 1e-6
# Elements of a gradient that are smaller than this part of its largest hold rounding.
SMALLEST_ELEMENT = 1e-5


def by_hand(first: Trace, second: Trace, tolerance: float) -> tuple[float, float]:
    """The scale that each side takes out of its gradients again; 1 where it takes out none.

    A factor between the tape and the optimizer is the inverse of a scale where the tapes' gradients are closer without
    it. Any other factor changes the updates, and other probes report it.
    """
    steps = _single_steps(first), _single_steps(second)
    if not all(steps):
        return 1.0, 1.0
    apart = ratio(steps[0][0].gradients or [], steps[1][0].gradients or []).scale
    if not np.isfinite(apart) or apart <= 0 or abs(apart - 1) < tolerance:
        return 1.0, 1.0
    if (found := _under_clips((first, second), apart)) is not None:
        return found
    one, other = (1 / (_factor(side) or 1.0) for side in steps)
    tried = product((1.0, one), (1.0, other))
    return min(tried, key=lambda scales: abs(np.log(apart * scales[0] / scales[1])))


def divide(trace: Trace, scale: float) -> None:
    """Takes ``scale`` out of what was recorded of the tape."""
    if scale == 1:
        return
    for step in trace.steps:
        step.loss, step.loss_scale = step.loss / scale, step.loss_scale * scale
        if step.gradients is not None:
            step.gradients = [array / scale for array in step.gradients]
        for output in step.output_gradients:
            output.gradient = output.gradient / scale


def _single_steps(trace: Trace) -> list[Step]:
    """The steps whose gradients were kept; none where an update combines several."""
    if any(len(update.steps) != 1 for update in trace.updates_made):
        return []
    steps = [step for step in trace.steps if step.gradients is not None and step.applied is not None]
    return [step for step in steps if np.isfinite(norm(step.gradients or [])) and np.isfinite(norm(step.applied or []))]


def _factor(steps: Sequence[Step]) -> float | None:
    """The number by which a loop multiplies its gradients, but for clips; None where there is none.

    A clip makes less of a gradient, and another part of each. A mean over the batch, which is another number for a
    smaller batch, is no such factor.
    """
    largest = sorted(_largest(step) for step in steps)
    repeated = [b for a, b in pairwise(largest) if b - a < SAME * b]
    if not repeated or min(repeated) < largest[-1] * (1 - 2 * SAME):
        return None
    return largest[-1]


def _largest(step: Step) -> float:
    """The largest factor of an element between the tape and the optimizer."""
    before, after = np.abs(flat(step.gradients or [])), np.abs(flat(step.applied or []))
    counted = before > SMALLEST_ELEMENT * before.max(initial=0)
    return float((after[counted] / before[counted]).max(initial=0))


def _under_clips(traces: tuple[Trace, Trace], apart: float) -> tuple[float, float] | None:
    """The scales where a loop clips every gradient, which hides its factor; None where no loop does so."""
    for side, scales in ((1, (1.0, apart)), (0, (1 / apart, 1.0))):
        steps = _single_steps(traces[side])
        if _factor(steps) is None and _is_hidden(clips.recognized(traces[side]), steps, scales[side]):
            return scales
    return None


def _is_hidden(clip: clips.Clip | None, steps: Sequence[Step], scale: float) -> bool:
    """Whether a clip makes the same of the gradients without their scale, in every step."""
    return clip is not None and all(
        gap(clip.made([array / scale for array in step.gradients or []]), step.applied or []) < clips.SAME
        for step in steps
    )
