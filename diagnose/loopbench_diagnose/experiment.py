"""The experiments on two sides, each made once and when it is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from loopbench_diagnose import loss_scales
from loopbench_diagnose.comparison import (
    VALUES,
    Comparison,
    of_parts_alone,
    outputs_distance,
    same_step_inputs,
    same_values,
)
from loopbench_diagnose.data import Data, leaves, sample_keys
from loopbench_diagnose.findings import word
from loopbench_diagnose.gradients import Ratio, gap, ratio, subtract
from loopbench_diagnose.harness import TRAINS_ANOTHER, Harness, NoUpdateError, ReusedObjectError
from loopbench_diagnose.interventions import (
    ALL_LOGITS,
    COLUMN_LABELS,
    EQUAL_LABELS,
    EQUAL_NOISE,
    NO_ADDITIONAL_LOSSES,
    ONE_REPLICA,
    ONE_SAMPLE,
    RIGHT_LOGITS,
    TRAINING_MODE,
    UNIT_WEIGHTS,
    Intervention,
    has_weights,
)
from loopbench_diagnose.layer_outputs import differing_layer, same_kinds
from loopbench_diagnose.settings import comparable
from loopbench_diagnose.side import Side
from loopbench_diagnose.trace import Arrays, Step, Trace, combined, restricted

Pair = tuple[Trace, Trace]

# Epochs over all samples: two, so that a reshuffle shows.
EPOCHS = 2
# Updates that a replay has at least, where this number of epochs is enough for them.
UPDATES = 6
MOST_EPOCHS = 8
RESEED = 1
# Places of an update's chain that come after its gradients.
AFTER_GRADIENTS = ("applied gradient", "update", "state after")
# Samples that are few enough to take them all, and updates an epoch that the replay and the orders need at most.
SMALL = 211
MOST_UPDATES = 30
MOST_ORDERED = 100
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


def _gap_of(pair: Pair) -> float:
    """Distance of the first gradients, with their scale; infinite where a side takes none."""
    found = _ratio_of(pair)
    return float("inf") if found is None else max(found.residual, abs(found.scale - 1))


def _scale(one: Trace, whole: Trace, gradients: Callable[[Step], Arrays | None]) -> float:
    """Of the first gradient of ``whole`` over that of ``one``; 1 where there is none."""
    first, second = (gradients(trace.steps[0]) if trace.steps else None for trace in (one, whole))
    return 1.0 if first is None or second is None else ratio(first, second).scale


FUNCTION = (
    "a tf.function from outside of the loop, which keeps the variables of an earlier model; create the tf.function "
    "within the loop"
)
# What Keras, TensorFlow and the harness say where an object of an earlier training is used in another one.
REUSED: dict[str, str] = {
    **dict.fromkeys(
        ("optimizer cannot recognize variable", "Unknown variable"),
        "an optimizer that was built for other variables: of an earlier model, or before a layer was unfrozen; "
        "create the "
        "optimizer within the loop, and build it on all variables that it will train",
    ),
    **dict.fromkeys(("singleton tf.Variables", TRAINS_ANOTHER), FUNCTION),
}


def refuse_reuse(error: Exception, loop: str) -> None:
    """Raises a ReusedObjectError if ``error`` comes from an object of an earlier training that the loop uses."""
    for stated, words in REUSED.items():
        if stated in str(error):
            raise ReusedObjectError(f"{loop} uses {words}") from error


def _first_rows(trace: Trace) -> int:
    return len(trace.updates_made[0].rows) if trace.updates_made else len(trace.steps[0].call.rows)


class Experiment:
    """What is known of two sides. Experiments on one batch are made with the size of the smaller first batch."""

    def __init__(self, harness: Harness, data: Data, sides: tuple[Side, Side], *, reduced: bool = True) -> None:
        self.harness = harness
        # Whether fewer samples are taken where updates are many.
        self._reduced = reduced
        # All samples, those of the replay, and those that orders are looked at on.
        self.whole = self.data = self.ordered_data = data
        self.sides = sides
        self._fit_batches()
        # By samples and interventions: the epochs that were run, and the traces.
        # Whether a side fails on a smaller last batch.
        self.demands_whole_batches = False
        self._batches: dict[tuple[int, tuple[str, ...]], tuple[int, Pair]] = {}
        self._failing: dict[int, bool] = {}
        self._ordered: dict[tuple[str, ...], Pair] = {}
        self._random_inputs: dict[int, bool] = {}
        self._repeat_gaps: dict[int, float] = {}
        self._final_outputs: dict[int, Any] = {}
        # By their names: errors of a side under interventions, which are therefore not tried.
        self.failed_interventions: dict[str, Exception] = {}
        # What each side multiplies its loss with and divides its gradients by; known after the replay.
        self._scales = (1.0, 1.0)

    @cached_property
    def epochs(self) -> Pair:
        """The replay: both sides over all samples, in one common order, for at least six updates."""
        self._reduce()
        pair = self._long_enough()
        self._scales = loss_scales.by_hand(*pair, self.tolerance)
        for trace, scale in zip(pair, self._scales, strict=True):
            loss_scales.divide(trace, scale)
        return pair

    def _long_enough(self) -> Pair:
        pair = self._replayed(EPOCHS)
        for name, trace in (("first", pair[0]), ("second", pair[1])):
            if trace.trains_another_model and not trace.steps:
                raise NoUpdateError(
                    f"the {name} loop trains another model than the one that it is given; train its argument "
                    f"`model`, and "
                    "no model from outside of the loop"
                )
            if not trace.steps:
                raise NoUpdateError(f"the {name} loop took no gradient of the model's weights with tf.GradientTape")
        fewest = min(len(trace.updates_made) or len(trace.steps) for trace in pair)
        if fewest >= UPDATES:
            return pair
        return self._replayed(min(MOST_EPOCHS, -(-UPDATES * EPOCHS // fewest)))

    def _replayed(self, epochs: int) -> Pair:
        first, data = self._whole_batches(self.sides[0], epochs), self.data
        second = self._whole_batches(self.sides[1], epochs)
        # The second side may take fewer samples than the first was given.
        return (first if self.data is data else self._whole_batches(self.sides[0], epochs)), second

    def _reduce(self) -> None:
        """Takes as many samples as some tens of updates need: what they show, more would not."""
        if len(self.data) <= SMALL or not self._reduced:
            return
        if len(sizes := self._first_sizes) == len(self.sides):
            self.data = self.whole.prime(max(2 * max(sizes) + 1, MOST_UPDATES * min(sizes), SMALL))
            self.ordered_data = self.whole.prime(max(2 * max(sizes) + 1, MOST_ORDERED * min(sizes), SMALL))
            self._fit_batches()

    @cached_property
    def _first_sizes(self) -> list[int]:
        """Samples in the first update of each side on all samples; empty where a side fails."""
        try:
            traces = [self.harness.watch(side, self.data, 1, ordered=True, updates=1) for side in self.sides]
        except Exception:  # noqa: BLE001  the replay itself says why
            return []
        return [_first_rows(trace) for trace in traces if trace.steps]

    @property
    def first_updates_agree(self) -> bool:
        """Whether the first updates of both sides are made of as many samples."""
        return len(set(self._first_sizes)) == 1

    def _fit_batches(self) -> None:
        size = self.harness.fixed_batch
        if size:
            self.data = self.data.rows(slice(len(self.data) // size * size))
            self.ordered_data = self.ordered_data.rows(slice(len(self.ordered_data) // size * size))

    def _whole_batches(self, side: Side, epochs: int) -> Trace:
        """A side on all samples; where it fails on a smaller last batch, on as many as make whole ones."""
        try:
            return self.harness.watch(side, self.data, epochs, ordered=True)
        except Exception as error:
            refuse_reuse(error, f"the {word(0 if side is self.sides[0] else 1)} loop")
            size = self.harness.first_batch
            if size < 1 or len(self.data) % size == 0 or len(self.data) < size:
                raise
        self.data = self.data.rows(slice(len(self.data) // size * size))
        self.demands_whole_batches = True
        return self.harness.watch(side, self.data, epochs, ordered=True)

    @cached_property
    def shuffled(self) -> Pair:
        """Both sides over all samples once more, with orders that are drawn again."""
        # Nothing but the orders is looked at, which need no long validation.
        self.epochs  # noqa: B018  the sizes of the batches come first
        data = self.data if self.demands_whole_batches else self.ordered_data
        data = replace(data, validation=self.first(self.batch_size).validation)
        first, second = (self.harness.watch(side, data, EPOCHS, seeded=False) for side in self.sides)
        return first, second

    @cached_property
    def diverges(self) -> bool:
        """Whether a side ends with weights or reported losses that are not finite."""
        return any(trace.divergence for trace in self.epochs)

    def on_batch(
        self,
        side: Side,
        data: Data,
        epochs: int,
        interventions: Sequence[Intervention] = (),
        *,
        ordered: bool = False,
    ) -> Trace:
        """A side on one batch, without the steps after a divergence, of which there is nothing to compare."""
        return self._finished(self.harness.watch(side, data, epochs, interventions, ordered=ordered), side)

    def _finished(self, trace: Trace, side: Side) -> Trace:
        loss_scales.divide(trace, self._scales[0 if side is self.sides[0] else 1])
        trace = restricted(combined(trace), self.observed.common)
        return trace.finite_part() if self.diverges else trace

    @cached_property
    def names(self) -> list[str]:
        """Paths of the variables that both sides train, in the order of all gradients on one batch."""
        return [self.harness.names[place] for place in self.observed.common]

    def rows(self, data: Data) -> list[bytes]:
        """The keys of all samples of ``data``."""
        return sample_keys(data.x)

    @cached_property
    def batch_size(self) -> int:
        """Samples in the smaller of the first updates."""
        return min(_first_rows(trace) for trace in self.epochs)

    @cached_property
    def tolerance(self) -> float:
        """Relative differences of gradients below it are rounding."""
        # A model may leave the computing to layers of another type than its own.
        return max(TOLERANCES.get(dtype, TOLERANCE) for dtype in self.harness.compute_dtypes)

    def first(self, count: int) -> Data:
        """The first samples, of either set: what one batch does to the weights needs no long validation."""
        return self.data.first(count)

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
            pair = self._new_pair(self.first(samples), epochs, interventions)
            self._batches[key] = epochs, pair
        return pair

    def _new_pair(self, data: Data, epochs: int, interventions: Sequence[Intervention]) -> Pair:
        """Both sides; the second on the first's inputs where its own differ, so that they hide nothing else."""
        if self._fails_on_part(data, epochs):
            return self._first_updates(epochs, interventions)
        first = self.on_batch(self.sides[0], data, epochs, interventions, ordered=self.needs_order)
        if not self.inputs_differ:
            return first, self.on_batch(self.sides[1], data, epochs, interventions, ordered=self.needs_order)
        return first, self._forced(first, data, epochs, interventions, ordered=True)

    def _fails_on_part(self, data: Data, epochs: int) -> bool:
        """Whether a side fails, or makes no update, where it is given so few samples alone."""
        if len(data) not in self._failing:
            self._failing[len(data)] = any(self._fails(side, data, epochs) for side in self.sides)
        return self._failing[len(data)]

    def _fails(self, side: Side, data: Data, epochs: int) -> bool:
        if not self.may_fail_on_part:
            return False
        try:
            return not self.on_batch(side, data, epochs).steps
        except Exception:  # noqa: BLE001  the replay itself says why
            return True

    def _first_updates(self, updates: int, interventions: Sequence[Intervention]) -> Pair:
        """The first updates on all samples, in one order: for loops that fail on fewer."""
        first, second = (self._first_of(side, updates, interventions) for side in self.sides)
        return first, second

    def _first_of(self, side: Side, updates: int, interventions: Sequence[Intervention] = ()) -> Trace:
        trace = self.harness.watch(side, self.data, 1, interventions, ordered=True, updates=updates)
        return self._finished(trace, side)

    def _forced(
        self, first: Trace, data: Data, epochs: int, interventions: Sequence[Intervention] = (), *, ordered: bool
    ) -> Trace:
        inputs = [step.call.inputs for step in first.steps]
        trace = self.harness.watch(self.sides[1], data, epochs, interventions, ordered=ordered, forced_inputs=inputs)
        if data is not self.data:
            return self._finished(trace, self.sides[1])
        loss_scales.divide(trace, self._scales[1])
        return trace

    @cached_property
    def may_fail_on_part(self) -> bool:
        """Whether a side drops a smaller last batch, or fails on one: it may then make nothing of few samples."""
        sizes = [_first_rows(trace) for trace in self.epochs]
        dropped = [
            sum(len(update.rows) for update in trace.updates_made) < trace.epochs * len(self.data)
            for trace in self.epochs
        ]
        return self.demands_whole_batches or sizes[0] != sizes[1] or any(dropped)

    @cached_property
    def known(self) -> frozenset[bytes]:
        """Keys of all training samples."""
        return frozenset(self.rows(self.data))

    @cached_property
    def observed(self) -> Comparison:
        """The replays as they are."""
        return Comparison(self.epochs, self.harness.names, self.tolerance, self.known)

    @cached_property
    def comparison(self) -> Comparison:
        """The replays, the second one on the first's inputs where its own differ."""
        if not self.inputs_differ or not self.observed.aligned:
            return self.observed
        second = self._forced(self.epochs[0], self.data, self.epochs[0].epochs, ordered=True)
        return Comparison((self.epochs[0], second), self.harness.names, self.tolerance, self.known)

    @cached_property
    def inputs_differ(self) -> bool:
        """Whether the model is fed other values of the same samples."""
        if max(self.replicas) > 1:
            return False
        found = self.observed.first_inputs
        if found is not None:
            return found
        data = self.first(self.batch_size)
        if self._fails_on_part(data, 1):
            return False
        pair = [self.harness.watch(side, data, 1, ordered=True) for side in self.sides]
        if not all(trace.steps for trace in pair):
            return False
        one, other = (combined(trace).steps[0] for trace in pair)
        if len(one.call.rows) != len(other.call.rows) or self.known.issuperset([*one.call.rows, *other.call.rows]):
            return False
        return not same_step_inputs(one, other)

    def random_inputs(self, side: int) -> bool:
        """Whether a side feeds other values under another seed, or other values of a sample in every epoch."""
        if side not in self._random_inputs:
            data = self.first(min(len(self.data), 2 * self.batch_size))
            one, other = (
                self.harness.watch(self.sides[side], data, 2, ordered=True, reseed=seed) for seed in (0, RESEED)
            )
            pairs = [
                *zip(one.steps, other.steps, strict=False),
                *zip(one.steps, one.steps[len(one.steps) // 2 :], strict=False),
            ]
            self._random_inputs[side] = not all(
                same_step_inputs(a, b) for a, b in pairs if len(a.call.rows) == len(b.call.rows)
            )
        return self._random_inputs[side]

    def with_one_sample(self, side: int) -> Trace:
        """A side on two batches and more of one sample in every place."""
        data = ONE_SAMPLE.data(self.first(2 * self.batch_size + 1))
        return self.harness.watch(self.sides[side], data, 1, ordered=True)

    def micro_batch(self, samples: int) -> Pair:
        """Both sides on so few samples that an update of theirs holds one gradient."""
        data = self.first(samples)
        first, second = (
            restricted(combined(self.harness.watch(side, data, 1, ordered=True)), self.observed.common)
            for side in self.sides
        )
        return first, second

    @cached_property
    def needs_order(self) -> bool:
        """Whether samples can be matched by their places alone: their keys are not the same on both sides."""
        if self.inputs_differ:
            return True
        calls = [trace.steps[0].call for trace in self.epochs]
        return any(call.lone for call in calls) and not all(self.known.issuperset(call.rows) for call in calls)

    @cached_property
    def _moves_alike(self) -> bool:
        """Whether both sides move the weights alike on the first batch, after the replay."""
        moved = [subtract(trace.weights, trace.steps[0].weights or []) for trace in self.batch()]
        return gap(*moved) < self.tolerance

    def repeat_gap(self, side: int) -> float:
        """Distance of the weights' movements where a side is run twice on the first batch."""
        if self.settled and self._moves_alike:
            # Two trainings that move alike repeat each other.
            return 0.0
        if side not in self._repeat_gaps:
            trace = self.batch()[side]
            data = self.first(self.batch_size)
            if self._fails_on_part(data, BATCH_EPOCHS):
                again = self._first_of(self.sides[side], BATCH_EPOCHS)
            elif side and self.inputs_differ:
                again = self._forced(self.batch()[0], data, BATCH_EPOCHS, ordered=True)
            else:
                again = self.on_batch(self.sides[side], data, BATCH_EPOCHS, ordered=self.needs_order)
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
        return self.on_batch(self.sides[side], data, 1, interventions)

    @cached_property
    def has_additional_losses(self) -> bool:
        """Whether the model adds losses itself, mostly regularization."""
        return bool(self.harness.prototype.losses) or any(step.call.penalty for step in self.epochs[0].steps[:1])

    @cached_property
    def penalty_gradient(self) -> Arrays:
        """The gradient of what an untrained model adds to the loss on the first batch, of the variables in common."""
        whole = self.harness.additional_gradient(self.first(self.batch_size))
        return [whole[place] for place in self.observed.common]

    @cached_property
    def forward(self) -> Pair:
        """Both sides in the first step on the first batch, in training mode where their flags differ.

        Not where their outputs agree as they are: a model may hold a part in inference mode whatever its flag says.
        """
        pair = self.batch()
        flags = {trace.steps[0].call.training for trace in pair if trace.steps}
        if len(flags) < len(pair) or not self._outputs_differ(pair):
            return pair
        return self.first_step((TRAINING_MODE,))

    @cached_property
    def models_differ(self) -> bool:
        """Whether the same weights make other outputs of the same samples."""
        first, second = self.forward
        if not first.steps or not second.steps or not self.same_inputs:
            return False
        one, other = first.steps[0], second.steps[0]
        if one.state and other.state and not same_values(one.state, other.state):
            return False
        if len(one.call.rows) != len(other.call.rows) or max(self.replicas) > 1:
            return False
        return self._outputs_differ(self.forward)

    def _outputs_differ(self, pair: Pair) -> bool:
        first, second = (trace.steps[0] for trace in pair)
        if of_parts_alone(first, second):
            calls = first.call, second.call
            return same_kinds(*calls) and differing_layer(*calls) is not None
        return outputs_distance(first, second) > max(VALUES, self.tolerance / 10)

    @cached_property
    def same_inputs(self) -> bool:
        """Whether both sides feed the model the same samples from the same data."""
        first, second = self.batch()
        if not first.steps or not second.steps:
            return first.steps == second.steps
        return same_step_inputs(first.steps[0], second.steps[0])

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
        """On one replica, on all of them, or both aggregations: the more specific one first."""
        if max(self.replicas) == 1:
            return ((),)
        if self._scales_differ:
            return (ONE_REPLICA,), ()
        # A batch normalization of shares is only comparable on one: two loops divide a batch in two ways. Where one
        # side does not divide it at all, that is a difference, which has to be reported.
        return ((), (ONE_REPLICA,)) if self.replicas[0] == self.replicas[1] else ((),)

    @cached_property
    def is_scaled_by_replicas(self) -> bool:
        """Whether the gap closes on one replica alone, and the sides' gradients follow the replicas in two ways."""
        return ONE_REPLICA in self.explanation.interventions and self._scales_differ

    def _candidates(self) -> list[Intervention]:
        """The more specific ones first: equal labels make up for too much."""
        outputs = leaves(self.epochs[0].steps[0].call.outputs)
        flags = [step.call.training for trace in self.epochs for step in trace.steps]
        rows = any(np.ndim(labels) == 1 for labels in leaves(self.data.y))
        applicable = {
            # Not of the data alone: a loop may pass class weights to fit itself.
            UNIT_WEIGHTS: True,
            TRAINING_MODE: not all(flags),
            COLUMN_LABELS: rows and any(output.shape[1:] == (1,) for output in outputs),
            RIGHT_LOGITS if self.harness.gives_probabilities else ALL_LOGITS: True,
            # Inputs that are exchanged come in one order.
            EQUAL_LABELS: self._has_labels and not self.inputs_differ,
        }
        return [intervention for intervention, applies in applicable.items() if applies]

    @property
    def _has_labels(self) -> bool:
        return bool(leaves(self.data.y))

    @cached_property
    def explanation(self) -> Explanation:
        """The fewest interventions that close the gap between the first gradients."""
        # For several steps: where nothing else is needed to close the gap, they are looked at later.
        plain = _ratio_of(self.batch(self._base))
        if plain is not None and self.models_differ:
            return Explanation((), plain, closed=False)
        if plain is None or not self.same_inputs:
            return Explanation((), plain or Ratio(1.0, 0.0, ()), closed=plain is None)
        if self.gradients_agree:
            return self._of_orders(plain)
        closing: list[Explanation] = []
        for together in self._tries(closed=plain.residual < self.tolerance):
            found = self.ratio(together)
            if found is None or not found.residual < self.tolerance:
                continue
            if EQUAL_LABELS in together and not any(self.depends_on_order(side, together) for side in (0, 1)):
                continue
            closing.append(Explanation(together, found, closed=True))
            if abs(found.scale - 1) < self.tolerance:
                return closing[-1]
        if closing:
            return closing[0]
        replicas = self._on_replicas[0]
        return Explanation(replicas, self.ratio(replicas) or plain, closed=False)

    @cached_property
    def gradients_agree(self) -> bool:
        """Whether the replay shows equal gradients of the same first update."""
        comparison = self.comparison
        if max(self.replicas) > 1 or not comparison.aligned or self.diverges:
            return False
        first = comparison.first
        return first is None or first.update > 0 or first.place in AFTER_GRADIENTS

    def _of_orders(self, plain: Ratio) -> Explanation:
        """For gradients that agree in one order: where they differ in the sides' own, labels are shuffled apart."""
        if max(plain.residual, abs(plain.scale - 1)) < self.tolerance:
            return Explanation((), plain, closed=True)
        if self._has_labels and not self.inputs_differ and self._acts(EQUAL_LABELS):
            found = self.ratio((EQUAL_LABELS,))
            apart = any(self.depends_on_order(side, (EQUAL_LABELS,)) for side in (0, 1))
            if found is not None and found.residual < self.tolerance and apart:
                return Explanation((EQUAL_LABELS,), found, closed=True)
        if self.parts_by_order:
            return Explanation((), plain, closed=False)
        return Explanation((), Ratio(1.0, 0.0, tuple(1.0 for _ in plain.by_variable)), closed=True)

    def _tries(self, *, closed: bool) -> list[tuple[Intervention, ...]]:
        if closed:
            # Nothing but weights that are all the same, and replicas, can look like a constant scale.
            candidates = [UNIT_WEIGHTS] if has_weights(self.data) else []
        else:
            candidates = [one for one in self._candidates() if self._acts(one)]
        sizes = range(min(MOST_TOGETHER, len(candidates)) + 1)
        sets = [together for size in sizes for together in combinations(candidates, size)]
        return [(*replicas, *together) for together in sets for replicas in self._on_replicas]

    def _in_order(self, interventions: Sequence[Intervention] = ()) -> Pair:
        """Both sides on the first batch, where nothing shuffles."""
        key = tuple(one.name for one in interventions)
        if key not in self._ordered:
            data = self.first(self.batch_size)
            first, second = (self.on_batch(side, data, 1, interventions, ordered=True) for side in self.sides)
            self._ordered[key] = first, second
        return self._ordered[key]

    @property
    def ordered_gap(self) -> float:
        """Distance of the first gradients where nothing shuffles."""
        return _gap_of(self._in_order())

    @cached_property
    def parts_by_order(self) -> bool:
        """Whether samples get the labels of others: the sides agree in one order, and not in their own orders."""
        if not self._has_labels or self.comparison.first is not None or self.inputs_differ:
            return False
        if self.ordered_gap >= self.tolerance:
            return False
        # Noise that a loop draws for the places of a batch goes with other samples in every order.
        if _gap_of(self.first_step((EQUAL_NOISE,))) < self.tolerance:
            return False
        return not any(self._draws_elsewhere(side) for side in (0, 1))

    def _draws_elsewhere(self, side: int) -> bool:
        """Whether a side's gradient follows the global seed, although noise is the same for all samples."""
        data = self.first(self.batch_size)
        reseeded = self.harness.watch(self.sides[side], data, 1, (EQUAL_NOISE,), ordered=True, reseed=RESEED)
        return self._changed(self._in_order((EQUAL_NOISE,))[side], self._finished(reseeded, self.sides[side]))

    def order_gap(self, side: int) -> float:
        """Distance of a side's first gradients, shuffled and not, with the same noise for all samples."""
        pairs = self.first_step((EQUAL_NOISE,)), self._in_order((EQUAL_NOISE,))
        shuffled, ordered = (pair[side].steps[0].gradients for pair in pairs)
        return 0.0 if shuffled is None or ordered is None else gap(ordered, shuffled)

    @property
    def _same_options(self) -> bool:
        """Whether the optimizers are configured alike: a difference may be too small for a few updates."""
        options = [
            [(type(optimizer).__name__, comparable(optimizer)) for optimizer in trace.optimizers]
            for trace in self.epochs
        ]
        return not all(options) or options[0] == options[1]

    @cached_property
    def settled(self) -> bool:
        """Whether both sides make the same updates: of all samples in one order, of the first batch in their own."""
        if max(self.replicas) > 1 or self.diverges or self.comparison.first is not None or self.inputs_differ:
            return False
        if self.comparison.final_distance > self.tolerance or not self._same_options:
            return False
        found = _ratio_of(self.batch())
        return found is not None and max(found.residual, abs(found.scale - 1)) < self.tolerance

    def depends_on_order(self, side: int, together: Sequence[Intervention]) -> bool:
        """Whether a side's gradient changes with the order of the samples, as that of loose pairs does."""
        if any(len(update.steps) > 1 for update in self.epochs[side].updates_made[:1]):
            # Another order makes other micro-batches.
            return False
        others = tuple(one for one in together if one is not EQUAL_LABELS)
        straight = self.first_step((*self._base, *others))[side].steps[0].gradients
        turned = self.reversed_batch(side, (*self._base, *others)).steps[0].gradients
        assert straight is not None
        assert turned is not None
        return ratio(straight, turned).residual > self.tolerance

    def _acts(self, intervention: Intervention) -> bool:
        """Whether an intervention changes a first gradient at all; not where a side fails under it."""
        before = self.first_step(self._base)
        try:
            after = self.first_step((*self._base, intervention))
        except Exception as error:  # noqa: BLE001  the other interventions stand
            self.failed_interventions[intervention.name] = error
            return False
        return any(self._changed(*pair) for pair in zip(before, after, strict=True))

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
