"""The outputs of the layers on both sides, layer by layer and with the samples in one order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopbench.spec import LayerRecord
from loopbench_diagnose.comparison import VALUES, distance, in_one_order
from loopbench_diagnose.findings import word
from loopbench_diagnose.trace import Call, LayerOutput

# Parts of a layer's configuration that change nothing of its outputs, or are looked at apart from the others.
UNRELATED = ("name", "seed", "dtype", "trainable", "batch_shape", "initializer", "regularizer", "build_config")
SAME_LAYERS = "Build the same layers with the same options on both sides, and call them in the same way."


@dataclass(frozen=True)
class LayerDifference:
    """How the first layer differs, in words, and what to do about it."""

    title: str
    fix: str = SAME_LAYERS


def records(first: Call, second: Call) -> tuple[LayerRecord, ...]:
    """Layers in the order of their calls, with the distance of their outputs; None where the shapes differ."""
    made = [LayerRecord(name=one.name, difference=size) for one, _, size in _pairs(first, second)]
    rest = first.layers[len(second.layers) :] or second.layers[len(first.layers) :]
    return (*made, *(LayerRecord(name=layer.name) for layer in rest))


def differing_layer(first: Call, second: Call) -> LayerDifference | None:
    """The first layer that differs; None where all layers that both call agree."""
    for one, other, size in _pairs(first, second):
        if one.kind != other.kind:
            return LayerDifference(
                f"where the first calls {one.kind} {one.name}, the second calls {other.kind} {other.name}"
            )
        if size is None or size > VALUES:
            return _of_options(one, other)
    return None


def first_difference(first: Call, second: Call) -> LayerDifference | None:
    """The same, or the number of layers."""
    found = differing_layer(first, second)
    if found is None and len(first.layers) != len(second.layers):
        return LayerDifference(f"the first calls {len(first.layers)} layers, the second {len(second.layers)}")
    return found


def same_kinds(first: Call, second: Call) -> bool:
    """Whether both sides call layers of the same classes, in the same order."""
    return [layer.kind for layer in first.layers] == [layer.kind for layer in second.layers]


def _pairs(first: Call, second: Call) -> Iterator[tuple[LayerOutput, LayerOutput, float | None]]:
    for one, other in zip(first.layers, second.layers, strict=False):
        ordered = in_one_order((first, second), (one.outputs, other.outputs))
        yield one, other, _distance(*ordered)


def _distance(one: Sequence[Any], other: Sequence[Any]) -> float | None:
    if [leaf.shape for leaf in one] != [leaf.shape for leaf in other]:
        return None
    return max((distance(a, b) for a, b in zip(one, other, strict=True)), default=0.0)


def _of_options(one: LayerOutput, other: LayerOutput) -> LayerDifference:
    named = f"the first layer with other outputs is {one.kind} {one.name}"
    options = _option_differences(one.config, other.config)
    trains = [layer.config.get("trainable") for layer in (one, other)]
    if options or trains[0] == trains[1]:
        return LayerDifference(f"{named} ({', '.join(options)})" if options else named)
    return _of_frozen(one, named, trains.index(False) if False in trains else 0)


def _of_frozen(layer: LayerOutput, named: str, side: int) -> LayerDifference:
    """A layer that runs in another mode because it is frozen."""
    why = ": Keras runs it in inference mode there" if layer.kind.endswith("BatchNormalization") else ""
    return LayerDifference(
        f"{named}, which is frozen (trainable=False) on the {word(side)} side alone{why}",
        f"Set trainable alike on both sides. A side that trains {layer.name} no further, but does not freeze it, has "
        "to call it with training=False.",
    )


def _option_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Options with both values, ``rate 0.2 and 0.8``; names and initializers are left out."""
    return [
        f"{name} {_short(value)} and {_short(other.get(name))}"
        for name, value in one.items()
        if not any(part in name for part in UNRELATED) and value != other.get(name)
    ]


def _short(value: Any) -> str:
    return str(value.get("class_name", value) if isinstance(value, Mapping) else value)
