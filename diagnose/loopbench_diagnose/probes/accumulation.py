"""Updates that combine several gradients, and gradients that are never reset."""

import numpy as np

from loopbench.spec import Effect, Reason
from loopbench.text import counted
from loopbench_diagnose.comparison import dense, tape_sum
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, word
from loopbench_diagnose.gradients import gap, ratio
from loopbench_diagnose.trace import Arrays, Trace, Update

# Relative distances: of a gradient from a sum that explains it, and from one that does not.
FITS = 1e-3
FAR = 1e-2
# Updates in which a sum has to grow.
GROWING = 3


def probe(experiment: Experiment, findings: Findings) -> None:
    """Looks for sums over updates, then for combinations that differ."""
    traces = experiment.comparison.traces
    stale = [adds_up(trace) for trace in traces]
    if stale[0] != stale[1]:
        _stale(experiment, findings, 0 if stale[0] else 1)
        return
    combined = [gradients_per_update(trace) for trace in traces]
    if max(combined) <= 1:
        return
    if not _differ(experiment):
        stated = "Gradients that each update combines, first and second; the combined gradients agree."
        findings.control("accumulation", stated, *map(float, combined))
        return
    _accumulation(experiment, findings, combined)


def gradients_per_update(trace: Trace) -> int:
    """The most gradients of different samples that an update combines."""
    return max((len({tuple(step.call.rows) for step in update.steps}) for update in trace.updates_made), default=1)


def adds_up(trace: Trace) -> bool:
    """Whether each update is given the sum of all gradients since the start."""
    total: Arrays | None = None
    grown = 0
    for number, update in enumerate(trace.updates_made[: GROWING + 1]):
        tape = tape_sum(update)
        if tape is None or not update.applied:
            return False
        total = tape if total is None else [a + b for a, b in zip(total, tape, strict=True)]
        applied = dense(update, [array.shape for array in tape])
        if number and not _is_sum(applied, total, tape):
            return False
        grown += bool(number)
    return grown >= GROWING - 1


def _is_sum(applied: Arrays, total: Arrays, tape: Arrays) -> bool:
    return ratio(total, applied).residual < FITS and ratio(tape, applied).residual > FAR


def _differ(experiment: Experiment) -> bool:
    """Whether samples or gradients of the updates differ by how they are combined."""
    comparison = experiment.comparison
    parted = comparison.first
    if parted is None:
        return False
    if parted.place in ("samples", "number of updates"):
        return True
    if parted.place not in ("gradient of the weights", "applied gradient", "update"):
        return False
    return gap(*_combined_gradients(experiment, parted.update)) > experiment.tolerance and _agree_on_one(experiment)


def _combined_gradients(experiment: Experiment, number: int) -> tuple[Arrays, Arrays]:
    """What both sides make an update of: the applied gradients, or the sum of the tape's."""
    comparison = experiment.comparison
    first, second = (
        (dense(update, comparison.shapes) if update.applied else tape_sum(update)) or []
        for update in comparison.pairs[number]
    )
    return first, second


def _agree_on_one(experiment: Experiment) -> bool:
    """Whether the sides agree where an update is made of one micro-batch."""
    sizes = {len(step.call.rows) for trace in experiment.comparison.traces for step in trace.updates_made[0].steps}
    pair = experiment.micro_batch(min(sizes))
    gradients = [trace.steps[0].gradients if trace.steps else None for trace in pair]
    if gradients[0] is None or gradients[1] is None:
        return False
    found = ratio(gradients[0], gradients[1])
    return found.residual < experiment.tolerance


def _stale(experiment: Experiment, findings: Findings, side: int) -> None:
    updates = experiment.comparison.traces[side].updates_made
    lengths = [_length(update) for update in updates[: GROWING + 1]]
    findings.cause(
        difference(
            Reason.STALE_GRADIENTS,
            f"The {word(side)} side's gradients add up over updates: they are never reset",
            [
                evidence(
                    "applied_gradient",
                    f"Length of the applied gradient over that of the update's own, updates 1 to {len(lengths)}: "
                    f"{', '.join(f'{length:.3g}' for length in lengths)}.",
                    1.0,
                    lengths[-1],
                )
            ],
            consequence="Every update repeats all gradients before it, so the steps grow without bound.",
            fix="Reset the accumulated gradients to zero after every optimizer.apply.",
            side=side,
        ),
        Effect.TRAINING,
        min(experiment.comparison.final_distance, 1e9),
    )


def _length(update: Update) -> float:
    tape = tape_sum(update) or []
    applied = dense(update, [array.shape for array in tape])
    size = float(np.sqrt(sum((array**2).sum() for array in tape)))
    return float(np.sqrt(sum((array**2).sum() for array in applied))) / size if size else float("nan")


def _accumulation(experiment: Experiment, findings: Findings, combined: list[int]) -> None:
    comparison = experiment.comparison
    parted = comparison.first
    assert parted is not None
    side = int(combined[1] >= combined[0])
    measured = [
        evidence("gradients_per_update", "Gradients that an update combines, first and second.", *map(float, combined))
    ]
    if parted.place in ("samples", "number of updates"):
        title = _boundaries(experiment, parted.update)
        fix = (
            "Make an update of what is left at the end of an epoch and divide it by the number of gradients in it, "
            "or drop it, "
            "alike on both sides."
        )
    else:
        arrays = _combined_gradients(experiment, parted.update)
        found = ratio(*arrays)
        measured.append(
            evidence("gradient_ratio", f"Gradient of update {parted.update + 1}, second over first.", 1.0, found.scale)
        )
        measured.append(evidence("gradient_gap", "Distance of the combined gradients.", 0.0, gap(*arrays)))
        title = (
            f"The second side's combined gradient is {found.scale:.4g} times the first's"
            if found.residual < FAR
            else "The sides combine the gradients of micro-batches with other weights"
        )
        fix = (
            "Add up sums and divide once by what the whole batch holds: samples, or positions that are not masked. A "
            "mean of "
            "the micro-batches' means is the same only where they are of the same size."
        )
    findings.cause(
        difference(
            Reason.ACCUMULATION,
            f"{title} (update {parted.update + 1}); a single micro-batch gives the same on both sides"
            if parted.place not in ("samples", "number of updates")
            else title,
            measured,
            consequence="The updates differ although the gradients of single batches agree.",
            fix=fix,
            side=side,
        ),
        Effect.TRAINING,
        min(comparison.final_distance, 1e9),
    )


def _boundaries(experiment: Experiment, number: int) -> str:
    counts = []
    for trace in experiment.comparison.traces:
        updates = trace.updates_made
        counts.append(len(updates[number].rows) if number < len(updates) else 0)
    return (
        f"The sides combine gradients up to other samples: update {number + 1} holds {counted(counts[0], 'sample')} "
        f"on the first side, {counts[1]} on the second"
    )
