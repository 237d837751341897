"""The replay of an experiment as plain data for reports."""

from collections.abc import Callable, Iterator

import numpy as np

from loopbench.spec import (
    FirstDifference,
    LayerRecord,
    MetricRecord,
    Replay,
    SideValues,
    UpdateRecord,
    VariableRecord,
)
from loopbench.text import counted
from loopbench_diagnose.comparison import VALUES, Comparison, dense, tape_sum
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.gradients import norm, ratio
from loopbench_diagnose.layer_outputs import records
from loopbench_diagnose.probes.metrics import Metric, agrees, comparable
from loopbench_diagnose.trace import Array, Trace, Update


def overview(experiment: Experiment) -> Replay:
    """What the replay shows, with sentences on what was compared and what was not."""
    comparison = experiment.comparison
    first = comparison.first
    layers = _layers(comparison)
    return Replay(
        updates=_updates(comparison),
        variables=_variables(comparison),
        layers=layers,
        first_differing_layer=next(
            (one.name for one in layers if one.difference is None or one.difference > VALUES), None
        ),
        metrics=_metrics(experiment),
        first_difference=None
        if first is None
        else FirstDifference(
            update=first.update + 1,
            place=first.place,
            text=f"The sides part in update {first.update + 1}, in the {first.place}.",
        ),
        compared=_compared(experiment),
        not_compared=tuple(_not_compared(experiment)),
    )


def _updates(comparison: Comparison) -> tuple[UpdateRecord, ...]:
    made = [trace.updates_made for trace in comparison.traces]
    records_made = []
    for number in range(max(map(len, made))):
        pair = [updates[number] if number < len(updates) else None for updates in made]
        records_made.append(
            UpdateRecord(
                number=number + 1,
                weight_distance=comparison.distances[number] if number < len(comparison.pairs) else None,
                rates=_pair(pair, _rate),
                samples=_pair(pair, lambda update: float(len(update.rows))),
                gradients=_pair(pair, lambda update: float(len(update.steps))),
                gradient_norms=_pair(pair, _norm),
            )
        )
    return tuple(records_made)


def _pair(updates: list[Update | None], value: Callable[[Update], float | None]) -> SideValues:
    first, second = (None if update is None else value(update) for update in updates)
    return SideValues(first=first, second=second)


def _rate(update: Update) -> float | None:
    return next(iter(update.rates.values()), None)


def _norm(update: Update) -> float | None:
    if update.applied:
        return norm(list(update.applied.values()))
    total = tape_sum(update)
    return None if total is None else norm(total)


def _variables(comparison: Comparison) -> tuple[VariableRecord, ...]:
    if not comparison.pairs:
        return ()
    pair = comparison.pairs[0]
    tapes = [tape_sum(update) for update in pair]
    trained = comparison.trained_at_all
    made = []
    for place, name in enumerate(comparison.names):
        scale = None
        if tapes[0] is not None and tapes[1] is not None:
            scale = _scale(tapes[0][place], tapes[1][place])
        applied = [
            None if tape is None or not update.applied else _scale(tape[place], dense(update, comparison.shapes)[place])
            for update, tape in zip(pair, tapes, strict=True)
        ]
        made.append(
            VariableRecord(
                name=name,
                gradient_ratio=scale,
                applied_over_tape=SideValues(first=applied[0], second=applied[1]),
                first_trains=place in trained[0],
                second_trains=place in trained[1],
            )
        )
    return tuple(made)


def _scale(first: Array, second: Array) -> float | None:
    found = ratio([first], [second]).by_variable[0]
    return float(found) if np.isfinite(found) else None


def _layers(comparison: Comparison) -> tuple[LayerRecord, ...]:
    first, second = comparison.traces
    return records(first.steps[0].call, second.steps[0].call) if first.steps and second.steps else ()


def _metrics(experiment: Experiment) -> tuple[MetricRecord, ...]:
    reported = [trace.reported for trace in experiment.epochs]
    made = []
    for name in [*reported[0], *(name for name in reported[1] if name not in reported[0])]:
        first, second = reported[0].get(name), reported[1].get(name)
        same = first is not None and second is not None and agrees(experiment, Metric(name, (first, second)))
        made.append(MetricRecord(name=name, values=SideValues(first=first, second=second), agrees=same))
    return tuple(made)


def _count(trace: Trace) -> int:
    return len(trace.updates_made) or len(trace.steps)


def _compared(experiment: Experiment) -> tuple[str, ...]:
    first, second = experiment.epochs
    shared = sorted(first.reported.keys() & second.reported.keys())
    return (
        (
            f"{counted(first.epochs, 'epoch')} on {counted(len(experiment.data), 'sample')} in one order: "
            f"{_count(first)} and {counted(_count(second), 'update')}."
        ),
        (
            f"{len(experiment.harness.names)} trainable variables and {len(experiment.harness.state_names)} other "
            f"weights after every update."
        ),
        f"Metrics: {', '.join(shared)}." if shared else "No metric is reported by both sides.",
    )


def _not_compared(experiment: Experiment) -> Iterator[str]:
    first, second = experiment.epochs
    yield "Initial weights were made equal."
    if first.noisy or second.noisy:
        yield "Random masks and noise of layers were made equal, sample by sample."
    if experiment.inputs_differ:
        yield "The second side was fed the first side's inputs, so that the inputs hide nothing else."
    if experiment.demands_whole_batches:
        yield "A smaller last batch: a side fails on one."
    for name in sorted(first.reported.keys() ^ second.reported.keys()):
        side = "first" if name in first.reported else "second"
        yield f"{name} is reported by the {side} side only."
    if not comparable(experiment) and first.reported.keys() & second.reported.keys():
        yield "Metrics, value against value: the trained weights differ."
    if max(experiment.replicas) > 1:
        yield "Updates on replicas one by one: their gradients were compared together."
