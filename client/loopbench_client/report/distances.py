"""How far the weights of each group are from those of the first group, epoch by epoch."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from loopbench.spec import EpochRecord, Run
from loopbench_client.report.marks import Mark
from loopbench_client.report.model import Report
from loopbench_client.report.spreads import Spread, spread

Line = tuple[Spread, ...]


def distances(report: Report, marks: Mapping[str, Mark]) -> dict[Mark, Line]:
    """Return a line for each group but the first, over the seeds that it shares with the first; empty lines left out.

    A value is an estimate of ‖other - first‖ / ‖first‖ from the sketches of the weights: see
    ``EpochRecord.weights_sketch``. It is 0 exactly where the sketches are equal.
    """
    first, *others = (report.runs[label] for label in marks) if marks else ((),)
    by_seed = {run.spec.seed: run for run in first}
    lines = {
        mark: _line((by_seed[run.spec.seed], run) for run in runs if run.spec.seed in by_seed)
        for mark, runs in zip([*marks.values()][1:], others, strict=True)
    }
    return {mark: line for mark, line in lines.items() if line}


def _line(pairs: Iterator[tuple[Run, Run]]) -> Line:
    found: dict[int, list[float]] = defaultdict(list)
    for first, second in pairs:
        for epoch, distance in run_distances(first, second):
            found[epoch].append(distance)
    return tuple(spread(epoch, found[epoch]) for epoch in sorted(found))


def run_distances(first: Run, second: Run) -> Iterator[tuple[int, float]]:
    """Yield each epoch that both runs have a sketch of, with the distance after it; none for different networks."""
    if first.result is None or second.result is None or first.spec.network != second.spec.network:
        return
    for one, other in zip(first.result.history, second.result.history, strict=False):
        if one.weights_sketch and other.weights_sketch:
            yield one.epoch, _distance(one, other)


def _distance(first: EpochRecord, second: EpochRecord) -> float:
    moved, length = math.dist(first.weights_sketch, second.weights_sketch), math.hypot(*first.weights_sketch)
    return moved / length if length else math.nan
