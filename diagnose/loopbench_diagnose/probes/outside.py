"""Weights that change outside of the updates: restored, re-initialized, averaged or loaded."""

from collections.abc import Iterator

import numpy as np

from loopbench.spec import Effect, Reason
from loopbench_diagnose.comparison import changed_at_end
from loopbench_diagnose.effects import inner
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, word
from loopbench_diagnose.gradients import gap, norm, subtract
from loopbench_diagnose.trace import Arrays, Trace

# Of an average that explains weights.
FITS = 1e-4
MOMENTA = (0.5, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares where each side's weights change without a gradient."""
    traces = experiment.comparison.traces
    if any(not trace.updates_made for trace in traces):
        return
    changes = [list(_changes(experiment, side)) for side in (0, 1)]
    if _alike(experiment, changes):
        findings.control("outside_changes", "Weights change by updates alone, or alike, on both sides.")
        return
    side = 0 if len(changes[0]) > len(changes[1]) else 1
    if not changes[side]:
        return
    _report(experiment, findings, side, changes[side][0])


def _changes(experiment: Experiment, side: int) -> Iterator[int]:
    """Numbers of the updates before which weights changed; their count for a change after the last."""
    trace = experiment.comparison.traces[side]
    kept = sum(update.after is not None for update in trace.updates_made)
    yield from (number for number in range(kept) if experiment.comparison.changed_before(side, number))
    if kept == len(trace.updates_made) and changed_at_end(trace):
        yield len(trace.updates_made)


def _alike(experiment: Experiment, changes: list[list[int]]) -> bool:
    if not any(changes):
        return True
    parted = experiment.comparison.first
    return changes[0] == changes[1] and (parted is None or parted.place != "weights before")


def _report(experiment: Experiment, findings: Findings, side: int, number: int) -> None:
    trace = experiment.comparison.traces[side]
    updates = trace.updates_made
    at_end = number == len(updates)
    after = trace.weights if at_end else updates[number].before
    before = updates[number - 1].after if number else trace.start
    assert after is not None
    assert before is not None
    where = "after the last update" if at_end else f"before update {number + 1}"
    loads = trace.trailing_loads if at_end else updates[number].loads
    reason, what, fix = _kind(trace, number, after, loads, _average_at_end(experiment.comparison.traces[1 - side]))
    size = gap(before, after)
    findings.cause(
        difference(
            reason,
            f"The {word(side)} side's weights {what} {where}",
            [
                evidence("change", f"Relative change of the weights {where}, without an update.", 0.0, size),
                evidence(
                    "changes",
                    "Times that weights change outside of an update.",
                    0.0,
                    float(len(list(_changes(experiment, side)))),
                ),
            ],
            consequence="What the updates before it did to the weights is changed without a gradient.",
            fix=fix,
            side=side,
        ),
        Effect.TRAINING,
        min(size, 1e9),
    )


def _kind(trace: Trace, number: int, after: Arrays, loads: list[str], other: str | None) -> tuple[Reason, str, str]:
    averaged = average(trace, number, after) or other
    if averaged or _uses_ema(trace):
        stated = averaged or "the optimizer's use_ema"
        return (
            Reason.WEIGHT_AVERAGING,
            f"become an average of earlier ones ({stated})",
            "Average the weights on both sides with the same momentum, or on none, and evaluate the same ones.",
        )
    if loads:
        return (
            Reason.RESUME,
            f"are not those that were saved where it reloads by {loads[0]}: they differ from the last update's",
            "Save after the last update, and restore the file of the same epoch.",
        )
    if number == 0:
        return (
            Reason.INITIAL_WEIGHTS,
            "are replaced",
            "Start from the initial weights of the model that the loop is given, on both sides.",
        )
    same = next((k for k, update in enumerate(trace.updates_made[:number]) if _equal(update.before, after)), None)
    stated = "are changed" if same is None else f"are restored to those before update {same + 1}"
    return (
        Reason.WEIGHTS_RESET,
        stated,
        (
            "Restore or re-initialize weights on both sides at the same time, or on none "
            "(EarlyStopping(restore_best_weights=True) "
            "does so at the end)."
        ),
    )


def _average_at_end(trace: Trace) -> str | None:
    """The other side's average, where it keeps one at its end."""
    return average(trace, len(trace.updates_made), trace.weights) if changed_at_end(trace) else None


def _equal(first: Arrays | None, second: Arrays) -> bool:
    return first is not None and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _uses_ema(trace: Trace) -> bool:
    return any(getattr(inner(optimizer), "use_ema", False) for optimizer in trace.optimizers)


def average(trace: Trace, number: int, weights: Arrays) -> str | None:
    """The average of the weights up to update ``number`` that ``weights`` are, in words; None where they are none."""
    known = [update.after for update in trace.updates_made[:number]]
    if not known or any(arrays is None for arrays in known):
        return None
    path = [arrays for arrays in known if arrays is not None]
    scale = norm(subtract(path[-1], trace.start))
    if not scale or _equal(path[-1], weights):
        return None

    def fits(candidate: Arrays) -> bool:
        return norm(subtract(candidate, weights)) < max(FITS * scale, 1e-6 * norm(weights))

    if any(fits(arrays) for arrays in (trace.start, *path)):
        # Earlier weights, as they were.
        return None
    count = max(1, number // trace.epochs)
    for points, name in ((path, "updates"), (path[count - 1 :: count], "epochs")):
        if len(points) > 1 and fits([np.mean(parts, axis=0) for parts in zip(*points, strict=True)]):
            return f"the mean over {len(points)} {name}"
        for momentum in MOMENTA:
            for start, stated in (
                (trace.start, "from the initial weights"),
                (points[0], f"from the first of the {name}"),
                (None, "from zero"),
            ):
                if fits(moving_average(points, momentum, start)):
                    return f"a moving average over {name} of momentum {momentum:g}, {stated}"
    return None


def moving_average(path: list[Arrays], momentum: float, start: Arrays | None) -> Arrays:
    """M ← momentum · m + (1 - momentum) · weights, over all updates."""
    current = [np.zeros_like(array) for array in path[0]] if start is None else start
    for arrays in path:
        current = [momentum * a + (1 - momentum) * b for a, b in zip(current, arrays, strict=True)]
    return current
