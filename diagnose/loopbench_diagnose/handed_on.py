"""What a loop does to its gradients before the optimizer receives them, where it does not clip them."""

from collections.abc import Iterator, Sequence

import numpy as np

from loopbench_diagnose.clips import SAME, recognized, shortens
from loopbench_diagnose.findings import joined
from loopbench_diagnose.gradients import gap, norm, ratio
from loopbench_diagnose.trace import Array, Step, Trace

# Title and fix.
Text = tuple[str, str]
AS_THEY_ARE = "Apply the gradients of the tape as they are."


def explained(trace: Trace, side: str, names: Sequence[str]) -> Text | None:
    """What one side does; None where it clips, or its optimizer receives what the tape computed."""
    if recognized(trace) is not None:
        return None
    return _exchanged(trace, side, names) or _multiplied(trace, side, names) or _other(trace, side)


def _exchanged(trace: Trace, side: str, names: Sequence[str]) -> Text | None:
    """Whether variables receive each other's gradients."""
    found = list(_sources(trace.steps[0]))
    if not found:
        return None
    # One pair shows how the order went wrong; a model may have hundreds of them.
    (place, source), *others = found
    more = f", and {len(others)} more" if others else ""
    return (
        f"The {side} side applies the gradient of {names[source]} to {names[place]}{more}",
        "Pair gradients and variables in one order: zip(tape.gradient(loss, variables), variables).",
    )


def _sources(step: Step) -> Iterator[tuple[int, int]]:
    """Each variable that receives the gradient of another one, and that other one."""
    given, applied = step.gradients or [], step.applied or []
    for place, after in enumerate(applied):
        if not norm([after]) or _agree(given[place], after):
            continue
        source = next((other for other, before in enumerate(given) if _agree(before, after)), None)
        if source is None:
            return
        yield place, source


def _agree(one: Array, other: Array) -> bool:
    return one.shape == other.shape and gap([one], [other]) < SAME


def _multiplied(trace: Trace, side: str, names: Sequence[str]) -> Text | None:
    """Whether variables have factors, each the same in every step."""
    pairs = [(step.gradients, step.applied) for step in trace.steps]
    if not pairs[1:]:
        return None
    factors = [
        [ratio([one], [other]) for one, other in zip(before or [], after or [], strict=True)] for before, after in pairs
    ]
    if any(one.residual > SAME and one.scale for step in factors for one in step):
        return None
    scales = np.array([[one.scale for one in step] for step in factors])
    if np.abs(scales - scales[0]).max(initial=0) > SAME:
        return None
    changed = [f"{names[place]} by {scale:.4g}" for place, scale in enumerate(scales[0]) if abs(scale - 1) > SAME]
    return (f"The {side} side multiplies the gradient of {joined(changed)}", AS_THEY_ARE) if changed else None


def _other(trace: Trace, side: str) -> Text | None:
    before, after = trace.steps[0].gradients, trace.steps[0].applied
    if before is None or after is None or gap(before, after) < SAME or shortens(trace):
        return None
    return f"The {side} side's optimizer receives other gradients than the tape computes", AS_THEY_ARE
