"""The experiments on two sides, each made once and when it is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from loopbench_diagnose.data import Data, leaves
from loopbench_diagnose.gradients import Ratio, gap, ratio, subtract
from loopbench_diagnose.harness import Harness, NoUpdateError
from loopbench_diagnose.instrumentation import row_keys
from loopbench_diagnose.interventions import (
    ALL_LOGITS,
    COLUMN_LABELS,
    EQUAL_LABELS,
    NO_ADDITIONAL_LOSSES,
    ONE_REPLICA,
    ONE_SAMPLE,
    RIGHT_LOGITS,
    TRAINING_MODE,
    UNIT_WEIGHTS,
    Intervention,
    has_weights,
)
from loopbench_diagnose.side import Side
from loopbench_diagnose.trace import Arrays, Step, Trace

Pair = tuple[Trace, Trace]

# Epochs over all samples: two, so that a reshuffle shows.
EPOCHS = 2
# Updates that a replay has at least, where so many epochs are enough for them.
UPDATES = 6
MOST_EPOCHS = 8
# Epochs over one batch, each of them a step.
BATCH_EPOCHS = 3
# Interventions that are tried together.
MOST_TOGETHER = 3

# Relative noise of a gradient, by the type that the model computes in. Sound pairs in float32 agree to some 1e-6.
TOLERANCES = {"float16": 3e-2, "bfloat16": 1e-1}
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Explanation:
    """How the gap between two first gradients closes: under which interventions, and with which scale left.

    ``ratio`` is second over first under them. ``closed`` is False where nothing that was tried helps.
    """

    interventions: tuple[Intervention, ...]
    ratio: Ratio
    closed: bool


def _ratio_of(pair: Pair) -> Ratio | None:
    """Second over first, of the first gradients; None where a side takes none."""
    first, second = (trace.steps[0].gradients if trace.steps else None for trace in pair)
    return None if first is None or second is None else ratio(first, second)


def _scale(one: Trace, whole: Trace, gradients: Callable[[Step], Arrays | None]) -> float:
    """Of the first gradient of ``whole`` over that of ``one``; 1 where there is none."""
    first, second = (gradients(trace.steps[0]) if trace.steps else None for trace in (one, whole))
    return 1.0 if first is None or second is None else ratio(first, second).scale


class Experiment:
    """What is known of two sides. Experiments on one batch are made with the size of the smaller first batch."""

    def __init__(self, harness: Harness, data: Data, sides: tuple[Side, Side]) -> None:
        self.harness = harness
        self.data = data
        self.sides = sides
        # By samples and interventions: the epochs that were run, and the traces.
        # Whether a side fails on a smaller last batch.
        self.demands_whole_batches = False
        self._batches: dict[tuple[int, tuple[str, ...]], tuple[int, Pair]] = {}
        self._repeat_gaps: dict[int, float] = {}
        self._final_outputs: dict[int, Any] = {}

    @cached_property
    def epochs(self) -> Pair:
        """The replay: both sides over all samples, in one common order, for at least six updates."""
        pair = self._replayed(EPOCHS)
        for name, trace in (("first", pair[0]), ("second", pair[1])):
            if not trace.steps:
                raise NoUpdateError(f"the {name} loop took no gradient of the model's weights with tf.GradientTape")
        fewest = min(len(trace.updates_made) or len(trace.steps) for trace in pair)
        if fewest >= UPDATES:
            return pair
        return self._replayed(min(MOST_EPOCHS, -(-UPDATES * EPOCHS // fewest)))

    def _replayed(self, epochs: int) -> Pair:
        first, second = (self._whole_batches(side, epochs) for side in self.sides)
        return first, second

    def _whole_batches(self, side: Side, epochs: int) -> Trace:
        """A side on all samples; where it fails on a smaller last batch, on as many as make whole ones."""
        try:
            return self.harness.watch(side, self.data, epochs, ordered=True)
        except Exception:
            size = self.harness.first_batch
            if size < 1 or len(self.data) % size == 0 or len(self.data) < size:
                raise
        self.data = self.data.rows(slice(len(self.data) // size * size))
        self.demands_whole_batches = True
        return self.harness.watch(side, self.data, epochs, ordered=True)

    @cached_property
    def shuffled(self) -> Pair:
        """Both sides over all samples once more, with orders that are drawn anew."""
        # Nothing but the orders is looked at, which need no long validation.
        data = replace(self.data, validation=self.first(self.batch_size).validation)
        first, second = (self.harness.watch(side, data, EPOCHS, seeded=False) for side in self.sides)
        return first, second

    @cached_property
    def diverges(self) -> bool:
        """Whether a side ends with weights or reported losses that are not finite."""
        return any(trace.divergence for trace in self.epochs)

    def on_batch(self, side: Side, data: Data, epochs: int, interventions: Sequence[Intervention] = ()) -> Trace:
        """A side on one batch, without the steps after a divergence, of which there is nothing to compare."""
        trace = self.harness.watch(side, data, epochs, interventions)
        return trace.finite_part() if self.diverges else trace

    def rows(self, data: Data) -> list[bytes]:
        """The keys of all samples of ``data``."""
        return row_keys(data.x)

    @cached_property
    def batch_size(self) -> int:
        """Samples in the smaller of the first batches."""
        return min(len(trace.steps[0].call.rows) for trace in self.epochs)

    @cached_property
    def tolerance(self) -> float:
        """Relative differences of gradients below it are rounding."""
        # A model may leave the computing to layers of another type than its own.
        return max(TOLERANCES.get(dtype, TOLERANCE) for dtype in self.harness.compute_dtypes)

    def first(self, count: int) -> Data:
        """The first samples, of either set: what one batch does to the weights needs no long validation."""
        validation = self.data.validation
        part = None if validation is None else validation.rows(slice(count))
        return replace(self.data.rows(slice(count)), validation=part)

    def batch(self, interventions: Sequence[Intervention] = ()) -> Pair:
        """Both sides on the first batch alone, for several steps."""
        return self._pair_on_batch(interventions, self.batch_size, BATCH_EPOCHS)

    def first_step(self, interventions: Sequence[Intervention] = (), samples: int | None = None) -> Pair:
        """Both sides on the first batch alone, or on its first ``samples``, for at least one step."""
        return self._pair_on_batch(interventions, samples or self.batch_size, 1)

    def _pair_on_batch(self, interventions: Sequence[Intervention], samples: int, epochs: int) -> Pair:
        key = samples, tuple(one.name for one in interventions)
        known, pair = self._batches.get(key, (0, None))
        if pair is None or known < epochs:
            data = self.first(samples)
            first, second = (self.on_batch(side, data, epochs, interventions) for side in self.sides)
            pair = first, second
            self._batches[key] = epochs, pair
        return pair

    def repeat_gap(self, side: int) -> float:
        """Distance of the weights' movements where a side is run twice on the first batch."""
        if side not in self._repeat_gaps:
            trace = self.batch()[side]
            again = self.on_batch(self.sides[side], self.first(self.batch_size), BATCH_EPOCHS)
            start = trace.steps[0].weights or []
            self._repeat_gaps[side] = gap(subtract(trace.weights, start), subtract(again.weights, start))
        return self._repeat_gaps[side]

    def final_outputs(self, side: int) -> Any:
        """The outputs of the model that a side ended with, on all training samples."""
        if side not in self._final_outputs:
            self._final_outputs[side] = self.harness.outputs(self.epochs[side], self.data)
        return self._final_outputs[side]

    def reversed_batch(self, side: int, interventions: Sequence[Intervention]) -> Trace:
        """A side on the first batch, with its samples given in reverse order."""
        data = self.first(self.batch_size).rows(slice(None, None, -1))
        return self.harness.watch(self.sides[side], data, 1, interventions)

    @cached_property
    def has_additional_losses(self) -> bool:
        """Whether the model adds losses of its own, regularization for the most part."""
        return bool(self.harness.prototype.losses)

    @cached_property
    def same_inputs(self) -> bool:
        """Whether both sides feed the model the same samples from the same data."""
        rows = [sorted(trace.steps[0].call.rows) if trace.steps else [] for trace in self.batch()]
        return rows[0] == rows[1]

    def ratio(self, interventions: Sequence[Intervention] = (), samples: int | None = None) -> Ratio | None:
        """Of the first gradients; None where a side takes none."""
        return _ratio_of(self.first_step((*self._base, *interventions), samples))

    @cached_property
    def _base(self) -> tuple[Intervention, ...]:
        # What the model adds by itself is compared by itself: beside a scale of the loss it would look like another.
        # Where the whole gradients agree, a side may have written by hand what the other takes from model.losses.
        if not self.has_additional_losses:
            return ()
        wholes = (_ratio_of(self.first_step(replicas)) for replicas in self._on_replicas)
        agree = (whole is not None and max(whole.residual, abs(whole.scale - 1)) < self.tolerance for whole in wholes)
        return () if any(agree) else (NO_ADDITIONAL_LOSSES,)

    @cached_property
    def replicas(self) -> tuple[int, int]:
        """Among how many replicas each side divides a batch."""
        first, second = (trace.replicas for trace in self.epochs)
        return first, second

    def _replica_scales(self, gradients: Callable[[Step], Arrays | None]) -> tuple[float, float]:
        """How many times as large as on one replica either side's gradient is on all.

        With one sample in every place all shares are alike, or a batch normalization would make another gradient of
        them than of the whole.
        """
        alike = (ONE_SAMPLE, UNIT_WEIGHTS, *((NO_ADDITIONAL_LOSSES,) if self.has_additional_losses else ()))
        pairs = zip(self.first_step((*alike, ONE_REPLICA)), self.first_step(alike), strict=True)
        first, second = (_scale(one, whole, gradients) for one, whole in pairs)
        return first, second

    @cached_property
    def replica_scales(self) -> tuple[float, float]:
        """How many times as large as on one replica the gradients are that either side's optimizer is given by all."""
        return self._replica_scales(lambda step: step.used)

    @cached_property
    def _scales_differ(self) -> bool:
        # The tape's gradients as well: a loop may scale them only later, and is right to.
        both = self.replica_scales, self._replica_scales(lambda step: step.gradients)
        return any(abs(first - second) > self.tolerance * abs(second) for first, second in both)

    @cached_property
    def _on_replicas(self) -> tuple[tuple[Intervention, ...], ...]:
        """On one replica, on all of them, or both aggregations: the more telling one first."""
        if max(self.replicas) == 1:
            return ((),)
        if self._scales_differ:
            return (ONE_REPLICA,), ()
        # A batch normalization of shares is only comparable on one: two loops divide a batch in two aggregations. Where one
        # side does not divide it at all, that is a difference and has to be told.
        return ((), (ONE_REPLICA,)) if self.replicas[0] == self.replicas[1] else ((),)

    @cached_property
    def is_scaled_by_replicas(self) -> bool:
        """Whether the gap closes on one replica alone, and the sides' gradients follow the replicas in two aggregations."""
        return ONE_REPLICA in self.explanation.interventions and self._scales_differ

    def _candidates(self) -> list[Intervention]:
        """The more telling ones first: equal labels make up for too much."""
        outputs = leaves(self.epochs[0].steps[0].call.outputs)
        flags = [step.call.training for trace in self.epochs for step in trace.steps]
        rows = any(np.ndim(labels) == 1 for labels in leaves(self.data.y))
        applicable = {
            # Not of the data alone: a loop may hand class weights of its own to fit.
            UNIT_WEIGHTS: True,
            TRAINING_MODE: not all(flags),
            COLUMN_LABELS: rows and any(output.shape[1:] == (1,) for output in outputs),
            RIGHT_LOGITS if self.harness.gives_probabilities else ALL_LOGITS: True,
            EQUAL_LABELS: True,
        }
        return [intervention for intervention, applies in applicable.items() if applies]

    @cached_property
    def explanation(self) -> Explanation:
        """The fewest interventions that close the gap between the first gradients."""
        # For several steps: where nothing else is needed to close the gap, they are looked at later.
        plain = _ratio_of(self.batch(self._base))
        if plain is None or not self.same_inputs:
            return Explanation((), plain or Ratio(1.0, 0.0, ()), closed=plain is None)
        closing: list[Explanation] = []
        for together in self._tries(closed=plain.residual < self.tolerance):
            found = self.ratio(together)
            if found is None or found.residual >= self.tolerance:
                continue
            closing.append(Explanation(together, found, closed=True))
            if abs(found.scale - 1) < self.tolerance:
                return closing[-1]
        if closing:
            return closing[0]
        replicas = self._on_replicas[0]
        return Explanation(replicas, self.ratio(replicas) or plain, closed=False)

    def _tries(self, *, closed: bool) -> list[tuple[Intervention, ...]]:
        if closed:
            # Nothing but weights that are all the same, and replicas, can look like a constant scale.
            candidates = [UNIT_WEIGHTS] if has_weights(self.data) else []
        else:
            candidates = [one for one in self._candidates() if self._acts(one)]
        sizes = range(min(MOST_TOGETHER, len(candidates)) + 1)
        sets = [together for size in sizes for together in combinations(candidates, size)]
        return [(*replicas, *together) for together in sets for replicas in self._on_replicas]

    def _acts(self, intervention: Intervention) -> bool:
        """Whether an intervention changes a first gradient at all."""
        pairs = zip(self.first_step(self._base), self.first_step((*self._base, intervention)), strict=True)
        return any(self._changed(without, under) for without, under in pairs)

    def _changed(self, without: Trace, under: Trace) -> bool:
        before, after = without.steps[0].gradients, under.steps[0].gradients
        assert before is not None
        assert after is not None
        found = ratio(before, after)
        return max(found.residual, abs(found.scale - 1)) > self.tolerance

    @property
    def explained(self) -> tuple[Intervention, ...]:
        """All interventions under which the first gradients agree but for a scale."""
        return (*self._base, *self.explanation.interventions)

    def sees(self, side: int, intervention: Intervention) -> bool:
        """Whether ``intervention`` changes the first gradient of a side, beside those that explain the gap."""
        others = tuple(one for one in self.explained if one is not intervention)
        without, under = self.first_step(others)[side], self.first_step((*others, intervention))[side]
        return self._changed(without, under)
