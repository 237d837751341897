"""The forward pass: the same weights and samples have to give the same outputs."""

from collections.abc import Mapping
from typing import Any

from loopbench.spec import Effect, Evidence, LayerRecord, Reason
from loopbench_diagnose.comparison import VALUES, distance, outputs_distance
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, multiple
from loopbench_diagnose.trace import LayerOutput

# Parts of a layer's configuration that change nothing of its outputs.
UNRELATED = ("name", "seed", "dtype", "trainable", "batch_shape", "initializer", "regularizer", "build_config")


def probe(experiment: Experiment, findings: Findings) -> None:
    """Names the first layer whose outputs differ."""
    first, second = experiment.forward
    if not first.steps or not second.steps:
        return
    if not experiment.models_differ:
        findings.control("model", "Equal weights and samples give equal outputs on both sides.")
        return
    size = outputs_distance(first.steps[0], second.steps[0])
    named = first_difference(first.steps[0].call.layers, second.steps[0].call.layers)
    findings.cause(
        difference(
            Reason.MODEL,
            f"The models differ: {named or 'the same weights give other outputs'}",
            [
                evidence("outputs", "Distance of the outputs on equal weights and samples.", 0.0, size),
                *_layers(first.steps[0].call.layers, second.steps[0].call.layers),
            ],
            consequence=f"The outputs of the first batch differ by {multiple(min(size, 1e9))} their norm. What "
            f"follows "
            "from them, the first gradients and the trained weights, cannot be compared.",
            fix="Build the same layers with the same options on both sides, and call them in the same way.",
        ),
        Effect.TRAINING,
        1e6,
    )


def records(first: list[LayerOutput], second: list[LayerOutput]) -> tuple[LayerRecord, ...]:
    """Layers in the order of their calls, with the distance of their outputs."""
    made = [
        LayerRecord(name=one.name, difference=_distance(one, other)) for one, other in zip(first, second, strict=False)
    ]
    rest = first[len(second) :] or second[len(first) :]
    return (*made, *(LayerRecord(name=layer.name) for layer in rest))


def _distance(one: LayerOutput, other: LayerOutput) -> float | None:
    if len(one.outputs) != len(other.outputs) or any(
        a.shape != b.shape for a, b in zip(one.outputs, other.outputs, strict=True)
    ):
        return None
    return max((distance(a, b) for a, b in zip(one.outputs, other.outputs, strict=True)), default=0.0)


def first_difference(first: list[LayerOutput], second: list[LayerOutput]) -> str | None:
    """The first layer that differs, in words; None where all that both call agree."""
    for one, other in zip(first, second, strict=False):
        if one.kind != other.kind:
            return f"where the first calls {one.kind} {one.name}, the second calls {other.kind} {other.name}"
        found = _distance(one, other)
        if found is None or found > VALUES:
            options = option_differences(one.config, other.config)
            stated = f" ({', '.join(options)})" if options else ""
            return f"the first layer with other outputs is {one.kind} {one.name}{stated}"
    if len(first) != len(second):
        return f"the first calls {len(first)} layers, the second {len(second)}"
    return None


def option_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Options with both values, ``rate 0.2 and 0.8``; names and initializers are left out."""
    return [
        f"{name} {_short(value)} and {_short(other.get(name))}"
        for name, value in one.items()
        if not any(part in name for part in UNRELATED) and value != other.get(name)
    ]


def _short(value: Any) -> str:
    return str(value.get("class_name", value) if isinstance(value, Mapping) else value)


def _layers(first: list[LayerOutput], second: list[LayerOutput]) -> list[Evidence]:
    return [
        evidence(f"layer/{record.name}", f"Distance of the outputs of {record.name}.", 0.0, record.difference)
        for record in records(first, second)
        if record.difference is not None
    ]
