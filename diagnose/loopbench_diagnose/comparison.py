"""Two replays, update by update: which agree, and where the sides part first."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from loopbench_diagnose.data import leaves
from loopbench_diagnose.gradients import gap, norm, subtract
from loopbench_diagnose.trace import Array, Arrays, Call, Step, Trace, Update

# Elements of a gradient that are smaller than this part of its largest hold rounding.
SMALLEST_ELEMENT = 1e-5
# An element may differ by this multiple of what the rounding of its gradient makes of it.
NOISE = 8
# Relative distance of an update that its gradient's rounding does not explain.
UPDATE = 2e-4
# Relative distance of inputs and outputs that single precision explains.
VALUES = 1e-4
# A difference of gradients may be this multiple of that of the weights before them.
GROWTH = 100


@dataclass(frozen=True)
class Difference:
    """The place in the chain of one update at which the sides part; ``update`` counts from 0, ``size`` is relative."""

    update: int
    place: str
    size: float
    variables: tuple[str, ...] = ()


def dense(update: Update, shapes: Sequence[tuple[int, ...]]) -> Arrays:
    """Applied gradients of all variables, zeros where there is none."""
    return [update.applied.get(place, np.zeros(shape)) for place, shape in enumerate(shapes)]


def tape_sum(update: Update) -> Arrays | None:
    """The sum of an update's tape gradients; None where they were not kept."""
    known = [step.gradients for step in update.steps]
    if not known or any(gradients is None for gradients in known):
        return None
    return [np.sum(parts, axis=0) for parts in zip(*(gradients for gradients in known if gradients), strict=True)]


def same_values(first: Any, second: Any, tolerance: float = VALUES) -> bool:
    """Whether two nested structures hold the same arrays, within rounding; text must be equal."""
    one, other = leaves(first), leaves(second)
    if len(one) != len(other):
        return False
    return all(_close(np.asarray(a), np.asarray(b), tolerance) for a, b in zip(one, other, strict=True))


def _close(first: Any, second: Any, tolerance: float) -> bool:
    if first.shape != second.shape:
        return False
    if first.dtype.kind in "OUS" or second.dtype.kind in "OUS":
        return bool((first == second).all())
    return distance(first, second) <= tolerance


def distance(first: Array, second: Array) -> float:
    """‖second - first‖ over the larger of both; places that are not finite on both sides do not count."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lost = ~np.isfinite(first) & ~np.isfinite(second)
    first, second = np.where(lost, 0, first), np.where(lost, 0, second)
    difference = float(np.linalg.norm(first - second))
    size = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
    if difference == 0:
        return 0.0
    return difference / size if np.isfinite(difference) and size > 0 else float("inf")


class Comparison:
    """The replays of both sides."""

    def __init__(
        self, traces: tuple[Trace, Trace], names: Sequence[str], tolerance: float, known: frozenset[bytes]
    ) -> None:
        self.traces = traces
        self.names = list(names)
        self._tolerance = tolerance
        self._known = known
        self.shapes = [array.shape for array in traces[0].start]
        kept = min(_kept(trace) for trace in traces)
        self.pairs = list(zip(traces[0].updates_made, traces[1].updates_made, strict=False))[:kept]

    def same_samples(self, number: int) -> bool:
        """Whether both sides feed the same samples to an update, in whatever order.

        Samples that a side has changed are known by their number alone: nothing shuffles here.
        """
        one, other = (update.rows for update in self.pairs[number])
        if self._known.issuperset(one) and self._known.issuperset(other):
            return sorted(one) == sorted(other)
        return len(one) == len(other)

    @cached_property
    def batch_sizes(self) -> list[list[int]]:
        """Samples in the updates of each side, in ascending order; empty where replicas made them."""
        return [sorted(len(update.rows) for update in trace.updates_made) for trace in self.traces]

    @property
    def same_batch_sizes(self) -> bool:
        """Whether both sides make as many updates of every size, as far as that was recorded."""
        first, second = self.batch_sizes
        return first == second or not first or not second

    @cached_property
    def aligned(self) -> int:
        """Updates up to the first that is made of other samples."""
        return next((k for k in range(len(self.pairs)) if not self.same_samples(k)), len(self.pairs))

    @cached_property
    def first_inputs(self) -> bool | None:
        """Whether inputs differ in an update of the same samples; None where no update can be compared."""
        compared: list[bool] = []
        for one, other in self.pairs[: self.aligned]:
            # Weights that differ make other inputs of a model's own, as those of a discriminator.
            if one.before is None or other.before is None or gap(one.before, other.before) > VALUES:
                break
            if len(one.steps) == len(other.steps):
                compared += [
                    same_step_inputs(a, b)
                    for a, b in zip(one.steps, other.steps, strict=True)
                    if len(a.call.rows) == len(b.call.rows) and not self._known.issuperset([*a.call.rows, *b.call.rows])
                ]
        if not compared and self.aligned:
            return False
        return None if not compared else not all(compared)

    def changed_before(self, side: int, number: int) -> bool:
        """Whether weights changed outside of an update, since the one before ``number`` or the start."""
        updates = self.traces[side].updates_made
        earlier = updates[number - 1].after if number else self.traces[side].start
        present = updates[number].before
        return earlier is not None and present is not None and not _equal(earlier, present)

    def state_changed_before(self, side: int, number: int) -> bool:
        """The same for the state."""
        updates = self.traces[side].updates_made
        earlier = updates[number - 1].state_after if number else self.traces[side].start_state
        present = updates[number].state_before
        return earlier is not None and present is not None and not _equal(earlier, present)

    def trained(self, side: int) -> list[frozenset[int]]:
        """The places of the variables that each update trains: with a gradient, or moved by hand."""
        return [_trained(update) for update in self.traces[side].updates_made]

    @cached_property
    def trained_at_all(self) -> tuple[frozenset[int], frozenset[int]]:
        """The places that each side trains in some update."""
        first, second = (frozenset().union(*self.trained(side)) for side in (0, 1))
        return first, second

    @cached_property
    def common(self) -> list[int]:
        """The places that both sides train; all where there are none."""
        both = self.trained_at_all[0] & self.trained_at_all[1]
        return sorted(both) if both else list(range(len(self.names)))

    @cached_property
    def distances(self) -> list[float | None]:
        """Of the weights' movements since the start, after each update."""
        return [
            None if one.after is None or other.after is None else gap(self._moved(0, one), self._moved(1, other))
            for one, other in self.pairs
        ]

    def _moved(self, side: int, update: Update) -> Arrays:
        assert update.after is not None
        return subtract(update.after, self.traces[side].start)

    @cached_property
    def final_distance(self) -> float:
        """Of the weights' movements over the whole replay."""
        return gap(*(subtract(trace.weights, trace.start) for trace in self.traces))

    @cached_property
    def first(self) -> Difference | None:
        """Where the sides part first; None where all updates agree."""
        for number in range(self.aligned):
            if (found := self._chain(number)) is not None:
                return found
        if self.aligned < len(self.pairs):
            return Difference(self.aligned, "samples", 1.0)
        counts = [len(trace.updates_made) for trace in self.traces]
        if counts[0] != counts[1]:
            return Difference(min(counts), "number of updates", abs(counts[0] - counts[1]) / max(counts))
        if any(self._changed_at_end(side) for side in (0, 1)) and self.final_distance > UPDATE:
            return Difference(counts[0], "weights before", self.final_distance)
        return None

    def _changed_at_end(self, side: int) -> bool:
        return changed_at_end(self.traces[side])

    def _chain(self, number: int) -> Difference | None:
        """The first place of one update at which the sides differ."""
        one, other = self.pairs[number]
        if one.before is None or other.before is None:
            return None
        checks = (
            ("weights before", self._before),
            ("state before", self._state_before),
            ("inputs", self._inputs),
            ("layer outputs", self._outputs),
            ("gradient of the outputs", self._output_gradients),
            ("gradient of the weights", self._gradients),
            ("applied gradient", self._applied),
            ("update", self._update),
            ("state after", self._state_after),
        )
        for place, check in checks:
            size, names = check(number, one, other)
            if size > 0:
                return Difference(number, place, size, names)
        return None

    def tolerance_at(self, number: int) -> float:
        """Of gradients: weights that differ by rounding make them differ by more."""
        one, other = self.pairs[number]
        if one.before is None or other.before is None:
            return self._tolerance
        return max(self._tolerance, GROWTH * gap(one.before, other.before))

    def _before(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:
        changed = [self.changed_before(side, number) for side in (0, 1)]
        if not any(changed):
            return 0.0, ()
        assert one.before is not None
        assert other.before is not None
        size = gap(one.before, other.before)
        named = tuple(
            n for n, a, b in zip(self.names, one.before, other.before, strict=True) if distance(a, b) > VALUES
        )
        return (size, named) if size > VALUES else (0.0, ())

    def _state_before(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:
        if not any(self.state_changed_before(side, number) for side in (0, 1)):
            return 0.0, ()
        return _far(one.state_before, other.state_before)

    def _inputs(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:  # noqa: ARG002
        if len(one.steps) != len(other.steps):
            return 0.0, ()
        pairs = zip(one.steps, other.steps, strict=True)
        return (0.0 if all(same_step_inputs(a, b) for a, b in pairs) else 1.0), ()

    def _outputs(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:
        if len(one.steps) != len(other.steps):
            return 0.0, ()
        tolerance = max(VALUES, self.tolerance_at(number) / 10)
        sizes = [
            outputs_distance(a, b)
            for a, b in zip(one.steps, other.steps, strict=True)
            if sorted(a.call.rows) == sorted(b.call.rows) and not of_parts_alone(a, b)
        ]
        size = max(sizes, default=0.0)
        return (size if size > tolerance else 0.0), ()

    def _output_gradients(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:
        # A softmax takes the same gradient from several of its outputs: what counts is what reaches the weights.
        if len(one.steps) != 1 or len(other.steps) != 1 or not self._gradients(number, one, other)[0]:
            return 0.0, ()
        a, b = one.steps[0].output_gradients, other.steps[0].output_gradients
        if (
            not a
            or len(a) != len(b)
            or any(
                x.of_logits != y.of_logits or x.gradient.shape != y.gradient.shape for x, y in zip(a, b, strict=True)
            )
        ):
            return 0.0, ()
        if one.steps[0].call.rows != other.steps[0].call.rows:
            return 0.0, ()
        size = max(distance(x.gradient, y.gradient) for x, y in zip(a, b, strict=True))
        return (size if size > self.tolerance_at(number) else 0.0), ()

    def _gradients(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:
        if len(one.steps) != len(other.steps):
            return 0.0, ()
        if one.applied and other.applied:
            # A scale of the loss that the loop divides the gradients by changes nothing.
            size, _ = self._arrays(number, dense(one, self.shapes), dense(other, self.shapes))
            if size == 0:
                return 0.0, ()
        return self._arrays(number, tape_sum(one), tape_sum(other))

    def _arrays(self, number: int, a: Arrays | None, b: Arrays | None) -> tuple[float, tuple[str, ...]]:
        if a is None or b is None:
            return 0.0, ()
        size, tolerance = gap(a, b), self.tolerance_at(number)
        whole = max(norm(a), norm(b))
        named = tuple(
            n
            for n, x, y in zip(self.names, a, b, strict=True)
            if norm([x - y]) > tolerance * max(whole / 10, norm([x]), norm([y]))
        )
        return (size, named) if size > tolerance else (0.0, ())

    def _applied(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:
        # What an optimizer clips by itself, a loop may clip before: the same update.
        if not one.applied or not other.applied or not self._moves_apart(one, other):
            return 0.0, ()
        return self._arrays(number, dense(one, self.shapes), dense(other, self.shapes))

    def _moves_apart(self, one: Update, other: Update) -> bool:
        if one.before is None or one.after is None or other.before is None or other.after is None:
            return True
        return gap(subtract(one.after, one.before), subtract(other.after, other.before)) > self._tolerance

    def _update(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:
        """Movements, less what the rounding of the gradients up to here may make of them."""
        if any(arrays is None for arrays in (one.before, one.after, other.before, other.after)):
            return 0.0, ()
        first, second = subtract(one.after or [], one.before or []), subtract(other.after or [], other.before or [])
        excess = [
            np.maximum(0.0, np.abs(a - b) - allowed)
            for a, b, allowed in zip(first, second, self._allowed(number, first, second), strict=True)
        ]
        whole = max(norm(first), norm(second))
        size = norm(excess) / whole if whole else 0.0
        named = tuple(n for n, e in zip(self.names, excess, strict=True) if norm([e]) > UPDATE * whole / 3)
        return (size, named) if size > max(UPDATE, self._tolerance / 10) else (0.0, ())

    def _allowed(self, number: int, first: Arrays, second: Arrays) -> Arrays:
        """Of every element, by the largest relative difference of its gradients so far."""
        relative = [np.zeros(shape) for shape in self.shapes]
        for one, other in self.pairs[: number + 1]:
            a, b = (_used(update, self.shapes) for update in (one, other))
            if a is None or b is None:
                continue
            largest = max((float(np.abs(x).max(initial=0)) for x in (*a, *b)), default=0.0)
            for place, (x, y) in enumerate(zip(a, b, strict=True)):
                size = np.maximum(np.abs(x), np.abs(y))
                with np.errstate(divide="ignore", invalid="ignore"):
                    found = np.where(size > 0, np.abs(x - y) / size, 0.0)
                found = np.where((size > 0) & (size < SMALLEST_ELEMENT * largest), 1.0, found)
                relative[place] = np.maximum(relative[place], found)
        weights = [np.abs(x) for x in self.pairs[number][0].before or []]
        return [
            np.maximum(np.abs(a), np.abs(b)) * np.minimum(2.0, NOISE * r) + 4e-7 * w
            for a, b, r, w in zip(first, second, relative, weights, strict=True)
        ]

    def _state_after(self, number: int, one: Update, other: Update) -> tuple[float, tuple[str, ...]]:  # noqa: ARG002
        # A bias before a batch normalization gets rounding for a gradient: its statistics follow where it drifts.
        if any(distance(a, b) > VALUES for a, b in zip(one.before or [], other.before or [], strict=False)):
            return 0.0, ()
        return _far(one.state_after, other.state_after)


def _trained(update: Update) -> frozenset[int]:
    if update.by_hand and update.before is not None and update.after is not None:
        moved = zip(update.before, update.after, strict=True)
        return frozenset(place for place, (a, b) in enumerate(moved) if not np.array_equal(a, b))
    return frozenset(place for place, gradient in update.applied.items() if gradient.any())


def changed_at_end(trace: Trace) -> bool:
    """Whether weights changed after the last update, outside of it."""
    last = trace.updates_made[-1].after if trace.updates_made else None
    return last is not None and not _equal(last, trace.weights)


def outputs_distance(one: Step, other: Step) -> float:
    """Of the model's outputs for the same samples; infinite where the shapes differ.

    A side may take more outputs from the model than the other: those of both are compared.
    """
    calls = one.call, other.call
    first, second = in_one_order(calls, (leaves(one.call.outputs), leaves(other.call.outputs)))
    fewer, more = sorted((first, second), key=len)
    if len(first) == len(second):
        return max((_shaped_distance(x, y) for x, y in zip(first, second, strict=True)), default=0.0)
    return max((min(_shaped_distance(x, y) for y in more) for x in fewer), default=0.0)


def of_parts_alone(one: Step, other: Step) -> bool:
    """Whether outputs of other shapes say nothing: a loop that calls layers one by one may make the rest by itself."""
    return (one.call.lone or other.call.lone) and outputs_distance(one, other) == float("inf")


def in_one_order(calls: tuple[Call, Call], arrays: tuple[Arrays, Arrays]) -> tuple[Arrays, Arrays]:
    """Arrays that two calls made, by the samples' keys where both are on the same samples in different orders.

    Of an array that does not hold one entry a sample the values themselves are sorted, in its shape.
    """
    first, second = (call.rows for call in calls)
    if first == second or sorted(first) != sorted(second):
        return arrays
    one, other = (_by_key(call.rows, found) for call, found in zip(calls, arrays, strict=True))
    return one, other


def _by_key(keys: Sequence[bytes], arrays: Arrays) -> Arrays:
    order = np.argsort(np.array([*keys, b""], object)[:-1], kind="stable")
    return [
        leaf[order] if np.ndim(leaf) and len(leaf) == len(order) else np.sort(leaf, axis=None).reshape(np.shape(leaf))
        for leaf in map(np.asarray, arrays)
    ]


def _shaped_distance(first: Array, second: Array) -> float:
    return distance(first, second) if np.shape(first) == np.shape(second) else float("inf")


def _used(update: Update, shapes: Sequence[tuple[int, ...]]) -> Arrays | None:
    return dense(update, shapes) if update.applied else tape_sum(update)


def same_step_inputs(one: Step, other: Step) -> bool:
    """Whether the model is fed the same values, in whatever order; parts of them where layers are called one by one."""
    if (one.call.lone or other.call.lone) and len(leaves(one.call.inputs)) != len(leaves(other.call.inputs)):
        return True
    return sorted(one.call.rows) == sorted(other.call.rows) or same_values(one.call.inputs, other.call.inputs)


def _far(first: Arrays | None, second: Arrays | None) -> tuple[float, tuple[str, ...]]:
    if first is None or second is None or len(first) != len(second):
        return 0.0, ()
    sizes = [distance(a, b) if a.shape == b.shape else float("inf") for a, b in zip(first, second, strict=True)]
    far = tuple(str(place) for place, size in enumerate(sizes) if size > 10 * VALUES)
    return (max(sizes), far) if far else (0.0, ())


def _equal(first: Arrays, second: Arrays) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True))


def _kept(trace: Trace) -> int:
    """Updates whose weights were kept."""
    return next((k for k, update in enumerate(trace.updates_made) if update.after is None), len(trace.updates_made))
