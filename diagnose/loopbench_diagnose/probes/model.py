"""The forward pass: the same weights and samples have to give the same outputs."""

from collections.abc import Iterator

import numpy as np

from loopbench.spec import Effect, Evidence, Reason
from loopbench_diagnose.comparison import outputs_distance
from loopbench_diagnose.data import leaves
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, multiple
from loopbench_diagnose.layer_outputs import LayerDifference, first_difference, records
from loopbench_diagnose.trace import Call


def probe(experiment: Experiment, findings: Findings) -> None:
    """Names the first layer whose outputs differ."""
    first, second = experiment.forward
    if not first.steps or not second.steps:
        return
    if not experiment.models_differ:
        findings.control("model", "Equal weights and samples give equal outputs on both sides.")
        return
    size = outputs_distance(first.steps[0], second.steps[0])
    calls = first.steps[0].call, second.steps[0].call
    found = first_difference(*calls) or LayerDifference("the same weights give other outputs")
    findings.cause(
        difference(
            Reason.MODEL,
            f"The models differ: {found.title}",
            [_of_outputs(*calls, size), *_of_layers(*calls)],
            consequence=f"{_in_words(size)} What follows from them, the first gradients and the trained weights, "
            "cannot be compared.",
            fix=found.fix,
        ),
        Effect.TRAINING,
        1e6,
    )


def _in_words(size: float) -> str:
    if not np.isfinite(size):
        return "The outputs of the first batch cannot be compared value by value."
    return f"The outputs of the first batch differ by {multiple(size)} their norm."


def _of_outputs(first: Call, second: Call, size: float) -> Evidence:
    shapes = [" and ".join(str(np.shape(leaf)) for leaf in leaves(call.outputs)) for call in (first, second)]
    if shapes[0] != shapes[1]:
        return evidence("outputs", f"Shapes of the outputs: {shapes[0]} on the first side, {shapes[1]} on the second.")
    if not np.isfinite(size):
        return evidence("outputs", "Outputs are NaN or infinite on one side alone.")
    return evidence("outputs", "Distance of the outputs on equal weights and samples.", 0.0, size)


def _of_layers(first: Call, second: Call) -> Iterator[Evidence]:
    for record in records(first, second):
        if record.difference is not None and np.isfinite(record.difference):
            stated = f"Distance of the outputs of {record.name}."
            yield evidence(f"layer/{record.name}", stated, 0.0, record.difference)
