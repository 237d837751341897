"""What a replay of both sides shows, as plain data for reports and pictures."""

from dataclasses import dataclass

# A value of the first and of the second side; None where a side has none.
Pair = tuple[float | None, float | None]


@dataclass(frozen=True)
class UpdateRecord:
    """One update of each side, the k-th of either.

    Attributes:
        number: counts from 1.
        weight_distance: ‖second - first‖ over ‖first‖ of the weights' movements since the start; None where only one
            side makes this update.
        rates: learning rate of the optimizer that made the update.
        samples: samples that were fed since the previous update.
        gradients: tape gradients that the update combines.
        gradient_norms: Euclidean norm of the gradient that was applied.
    """

    number: int
    weight_distance: float | None
    rates: Pair
    samples: Pair
    gradients: Pair
    gradient_norms: Pair


@dataclass(frozen=True)
class VariableRecord:
    """A trainable variable in the first update that both sides make.

    Attributes:
        name: path of the variable.
        gradient_ratio: tape gradient, second over first, by least squares; None where first's is zero.
        applied_over_tape: the gradient that reached the optimizer over the tape's, for each side.
        trained: whether the variable moved during the replay, for each side.
    """

    name: str
    gradient_ratio: float | None
    applied_over_tape: Pair
    trained: tuple[bool, bool]


@dataclass(frozen=True)
class LayerRecord:
    """A layer of the forward pass of the first update, in the order of the calls.

    ``difference`` is the relative distance of both sides' outputs; None where only one side calls it, or where the
    shapes differ.
    """

    name: str
    difference: float | None


@dataclass(frozen=True)
class MetricRecord:
    """A reported metric: its value on each side, and whether the two agree within rounding."""

    name: str
    values: Pair
    agrees: bool


@dataclass(frozen=True)
class FirstDifference:
    """Where the sides part: the update, counted from 1, the place in its chain of computations, and a sentence.

    ``place`` is one of ``PLACES``.
    """

    update: int
    place: str
    text: str


PLACES = (
    "weights before",
    "state before",
    "samples",
    "inputs",
    "layer outputs",
    "gradient of the outputs",
    "gradient of the weights",
    "applied gradient",
    "learning rate",
    "update",
    "state after",
    "number of updates",
)


@dataclass(frozen=True)
class Replay:
    """Both sides trained in one common sample order, update by update.

    ``compared`` and ``not_compared`` are sentences: what the diagnosis covers, and what it was made equal or left out.
    ``first_differing_layer`` is the name of a layer in ``layers``, or None where all outputs agree. ``names`` are what
    pictures call the sides.
    """

    updates: tuple[UpdateRecord, ...] = ()
    variables: tuple[VariableRecord, ...] = ()
    layers: tuple[LayerRecord, ...] = ()
    first_differing_layer: str | None = None
    metrics: tuple[MetricRecord, ...] = ()
    first_difference: FirstDifference | None = None
    compared: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    names: tuple[str, str] = ("the first side", "the second side")
