"""The replay of a diagnosis: both sides trained in one order, update by update."""

from loopbench.spec.base import Model


class SideValues(Model):
    """A value of the first and of the second side; None where a side has none."""

    first: float | None = None
    second: float | None = None


class UpdateRecord(Model):
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
    weight_distance: float | None = None
    rates: SideValues
    samples: SideValues
    gradients: SideValues
    gradient_norms: SideValues


class VariableRecord(Model):
    """A trainable variable in the first update that both sides make.

    Attributes:
        name: path of the variable.
        gradient_ratio: tape gradient, second over first, by least squares; None where first's is zero.
        applied_over_tape: the gradient that reached the optimizer over the tape's.
        first_trains: whether the first side moved the variable during the replay.
        second_trains: whether the second side did.
    """

    name: str
    gradient_ratio: float | None = None
    applied_over_tape: SideValues
    first_trains: bool
    second_trains: bool


class LayerRecord(Model):
    """A layer of the forward pass of the first update, in the order of the calls.

    ``difference`` is the relative distance of both sides' outputs; None where only one side calls it, or where the
    shapes differ.
    """

    name: str
    difference: float | None = None


class MetricRecord(Model):
    """A reported metric: its value on each side, and whether the two agree, up to rounding and different weights."""

    name: str
    values: SideValues
    agrees: bool


class FirstDifference(Model):
    """Where the sides part: the update, counted from 1, the place in its chain of computations, and a sentence.

    The places are, in their order: weights before, state before, samples, inputs, layer outputs, gradient of the
    outputs, gradient of the weights, applied gradient, learning rate, update, state after, number of updates.
    """

    update: int
    place: str
    text: str


class Replay(Model):
    """Both sides trained in one common sample order, update by update; empty where it could not be made.

    ``compared`` and ``not_compared`` are sentences: what the diagnosis covers, and what it was made equal or left out.
    ``first_differing_layer`` is the name of a layer in ``layers``, or None where all outputs agree.
    """

    updates: tuple[UpdateRecord, ...] = ()
    variables: tuple[VariableRecord, ...] = ()
    layers: tuple[LayerRecord, ...] = ()
    first_differing_layer: str | None = None
    metrics: tuple[MetricRecord, ...] = ()
    first_difference: FirstDifference | None = None
    compared: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
