"""The first gradients of two traces."""

from collections.abc import Callable

from loopbench_diagnose.gradients import Ratio, ratio
from loopbench_diagnose.trace import Arrays, Step, Trace

Pair = tuple[Trace, Trace]


def ratio_of(pair: Pair) -> Ratio | None:
    """Second over first, of the first gradients; None where a side takes none."""
    first, second = (trace.steps[0].gradients if trace.steps else None for trace in pair)
    return None if first is None or second is None else ratio(first, second)


def gap_of(pair: Pair) -> float:
    """Distance of the first gradients, with their scale; infinite where a side takes none."""
    found = ratio_of(pair)
    return float("inf") if found is None else max(found.residual, abs(found.scale - 1))


def scale_of(one: Trace, whole: Trace, gradients: Callable[[Step], Arrays | None]) -> float:
    """Of the first gradient of ``whole`` over that of ``one``; 1 where there is none."""
    first, second = (gradients(trace.steps[0]) if trace.steps else None for trace in (one, whole))
    return 1.0 if first is None or second is None else ratio(first, second).scale


def changed(without: Trace, under: Trace, tolerance: float) -> bool:
    """Whether a side's first gradient changes under interventions."""
    before, after = without.steps[0].gradients, under.steps[0].gradients
    assert before is not None
    assert after is not None
    found = ratio(before, after)
    return max(found.residual, abs(found.scale - 1)) > tolerance
