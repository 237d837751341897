"""The samples that validation metrics are computed on."""

from typing import Any

import numpy as np

from loopbench.spec import Effect, Reason
from loopbench_diagnose.comparison import same_values
from loopbench_diagnose.data import leaves
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, word
from loopbench_diagnose.reports import VALIDATION
from loopbench_diagnose.trace import Call, Trace

NAMES = {
    "training": "the training set",
    "validation": "the validation set as the data holds it",
    "other": "values that are in neither set",
}


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares what the sides evaluate after their last update."""
    data = experiment.data.validation
    if data is None or not all(_validates(trace) for trace in experiment.epochs):
        return
    held = frozenset(experiment.rows(data))
    calls = [_without_asides(_last_calls(trace), held) for trace in experiment.epochs]
    kinds = [_kinds(made, held, experiment.known) for made in calls]
    if not all(kinds):
        return
    keys = [{key for call in made for key in call.rows} for made in calls]
    inconsistent = [side for side in (0, 1) if ("other" in kinds[side]) != _changes_samples(experiment, side)]
    on_training = [side for side in (0, 1) if "training" in kinds[side] and "validation" not in kinds[side]]
    if len(on_training) == 1:
        _report(findings, on_training[0], "training", keys)
    elif len(inconsistent) == 1 and keys[0] != keys[1]:
        side = inconsistent[0]
        _report(findings, side, "other" if "other" in kinds[side] else "validation", keys)
    elif keys[0] != keys[1] and len(keys[0]) == len(keys[1]) and all("other" in found for found in kinds):
        _unless_alike(experiment, findings, keys, calls)


def _unless_alike(experiment: Experiment, findings: Findings, keys: list[set[bytes]], calls: list[list[Call]]) -> None:
    # Training inputs that differ as well may be the same preparation of both sets. Other keys may be rounding alone.
    if not experiment.inputs_differ and not same_values(_inputs(calls[0]), _inputs(calls[1])):
        _report(findings, None, "other", keys)


def _inputs(calls: list[Call]) -> list[Any]:
    """What the model is fed in all calls together, array by array."""
    parts = zip(*(leaves(call.inputs) for call in calls), strict=True)
    return [np.concatenate([np.asarray(part) for part in of_calls]) for of_calls in parts]


def _validates(trace: Trace) -> bool:
    return any(name.startswith(VALIDATION) for name in trace.reported)


def _last_calls(trace: Trace) -> list[Call]:
    return [call for call in trace.evaluations if call.steps_before == len(trace.steps)]


def _without_asides(calls: list[Call], held: frozenset[bytes]) -> list[Call]:
    """The calls without those that a callback, for example, makes beside an evaluation of the whole validation set."""
    rows = {key for call in calls for key in call.rows}
    others = rows - held
    if not rows >= held or len(others) == len(held):
        return calls
    return [call for call in calls if held.issuperset(call.rows)]


def _kinds(calls: list[Call], held: frozenset[bytes], known: frozenset[bytes]) -> set[str]:
    found = set()
    for call in calls:
        rows = set(call.rows)
        found.add("validation" if rows <= held else "training" if rows <= known else "other")
    return found


def _changes_samples(experiment: Experiment, side: int) -> bool:
    """Whether a side feeds other training samples than the data holds: it has to prepare both sets alike."""
    rows = {key for step in experiment.epochs[side].steps for key in step.call.rows}
    return not rows <= experiment.known


def _report(findings: Findings, side: int | None, kind: str, keys: list[set[bytes]]) -> None:
    who = "One side" if side is None else f"The {word(side)} side"
    what = (
        "on the training set" if kind == "training" else "on data that is prepared in another way than the other side's"
    )
    findings.cause(
        difference(
            Reason.VALIDATION_DATA,
            f"{who} computes its validation metrics {what}",
            [
                evidence(
                    "validation_data",
                    f"{who} evaluates {NAMES[kind]}; different samples, first and second.",
                    *(float(len(found)) for found in keys),
                )
            ],
            consequence="The validation metrics are those of other data. The weights are not touched.",
            fix="Evaluate the validation set, prepared as the training samples are: scaled by the training set's "
            "numbers.",
            side=side,
        ),
        Effect.REPORT,
        1.0,
    )
