"""The experiments on two sides, each made once and when it is asked for."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from loopbench_diagnose import loss_scales
from loopbench_diagnose.comparison import (
    VALUES,
    Comparison,
    of_parts_alone,
    outputs_distance,
    same_step_inputs,
    same_values,
)
from loopbench_diagnose.data import Data, leaves
from loopbench_diagnose.explanation import Explanation, explain
from loopbench_diagnose.first_gradients import Pair, changed, gap_of, ratio_of, scale_of
from loopbench_diagnose.gradients import Ratio, gap, ratio, subtract
from loopbench_diagnose.harness import Harness
from loopbench_diagnose.interventions import (
    EQUAL_LABELS,
    EQUAL_NOISE,
    NO_ADDITIONAL_LOSSES,
    ONE_REPLICA,
    ONE_SAMPLE,
    TRAINING_MODE,
    UNIT_WEIGHTS,
    Intervention,
)
from loopbench_diagnose.layer_outputs import differing_layer, same_kinds
from loopbench_diagnose.replays import Replays, first_rows
from loopbench_diagnose.settings import comparable
from loopbench_diagnose.side import Side
from loopbench_diagnose.trace import Arrays, Step, Trace, combined, restricted

RESEED = 1
# Epochs over one batch, each of them a step.
BATCH_EPOCHS = 3


class Experiment(Replays):
    """What is known of two sides. Experiments on one batch are made with the size of the smaller first batch."""

    def __init__(self, harness: Harness, data: Data, sides: tuple[Side, Side], *, reduced: bool = True) -> None:
        super().__init__(harness, data, sides, reduced=reduced)
        # By samples and interventions: the epochs that were run, and the traces.
        self._batches: dict[tuple[int, tuple[str, ...]], tuple[int, Pair]] = {}
        self._failing: dict[int, bool] = {}
        self._ordered: dict[tuple[str, ...], Pair] = {}
        self._random_inputs: dict[int, bool] = {}
        self._repeat_gaps: dict[int, float] = {}
        self._final_outputs: dict[int, Any] = {}
        # By their names: errors of a side under interventions, which are therefore not tried.
        self.failed_interventions: dict[str, Exception] = {}

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
        sizes = [first_rows(trace) for trace in self.epochs]
        dropped = [
            sum(len(update.rows) for update in trace.updates_made) < trace.epochs * len(self.data)
            for trace in self.epochs
        ]
        return self.demands_whole_batches or sizes[0] != sizes[1] or any(dropped)

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
    def matched(self) -> Pair:
        """The same, in one order where loops prepare their samples: these are known by their places alone."""
        if not self._prepares_samples:
            return self.forward
        return self._in_order(() if self.forward is self.batch() else (TRAINING_MODE,))

    @cached_property
    def _prepares_samples(self) -> bool:
        """Whether a side feeds other values than the data holds, in the order that it draws."""
        rows = [key for trace in self.batch() for step in trace.steps[:1] for key in step.call.rows]
        if self.needs_order or self.known.issuperset(rows):
            return False
        return not self._fails_on_part(self.first(self.batch_size), 1)

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
        return self._outputs_differ(self.matched)

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
        if same_step_inputs(first.steps[0], second.steps[0]):
            return True
        if not self._prepares_samples:
            return False
        one, other = self._in_order()
        return same_step_inputs(one.steps[0], other.steps[0])

    def ratio(self, interventions: Sequence[Intervention] = (), samples: int | None = None) -> Ratio | None:
        """Of the first gradients; None where a side takes none."""
        return ratio_of(self.first_step((*self.baseline, *interventions), samples))

    @cached_property
    def baseline(self) -> tuple[Intervention, ...]:
        """Interventions beside which all others are tried."""
        # What the model adds by itself is compared by itself: beside a scale of the loss it would look like another.
        # Where the whole gradients agree, a side may have written by hand what the other takes from model.losses.
        if not self.has_additional_losses:
            return ()
        wholes = (ratio_of(self.first_step(replicas)) for replicas in self.on_replicas)
        agree = (whole is not None and max(whole.residual, abs(whole.scale - 1)) < self.tolerance for whole in wholes)
        return () if any(agree) else (NO_ADDITIONAL_LOSSES,)

    def _replica_scales(self, gradients: Callable[[Step], Arrays | None]) -> tuple[float, float]:
        """How many times as large as on one replica either side's gradient is on all.

        With one sample in every place all shares are alike, or a batch normalization would make another gradient of
        them than of the whole.
        """
        alike = (ONE_SAMPLE, UNIT_WEIGHTS, *((NO_ADDITIONAL_LOSSES,) if self.has_additional_losses else ()))
        pairs = zip(self.first_step((*alike, ONE_REPLICA)), self.first_step(alike), strict=True)
        first, second = (scale_of(one, whole, gradients) for one, whole in pairs)
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
    def on_replicas(self) -> tuple[tuple[Intervention, ...], ...]:
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

    @cached_property
    def explanation(self) -> Explanation:
        """The fewest interventions that close the gap between the first gradients."""
        return explain(self)

    @property
    def has_labels(self) -> bool:
        """Whether the data has any."""
        return bool(leaves(self.data.y))

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
        return gap_of(self._in_order())

    @cached_property
    def parts_by_order(self) -> bool:
        """Whether samples get the labels of others: the sides agree in one order, and not in their own orders."""
        if not self.has_labels or self.comparison.first is not None or self.inputs_differ:
            return False
        if self.ordered_gap >= self.tolerance:
            return False
        # Noise that a loop draws for the places of a batch goes with other samples in every order.
        if gap_of(self.first_step((EQUAL_NOISE,))) < self.tolerance:
            return False
        return not any(self._draws_elsewhere(side) for side in (0, 1))

    def _draws_elsewhere(self, side: int) -> bool:
        """Whether a side's gradient follows the global seed, although noise is the same for all samples."""
        data = self.first(self.batch_size)
        reseeded = self.harness.watch(self.sides[side], data, 1, (EQUAL_NOISE,), ordered=True, reseed=RESEED)
        return changed(self._in_order((EQUAL_NOISE,))[side], self._finished(reseeded, self.sides[side]), self.tolerance)

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
        found = ratio_of(self.batch())
        return found is not None and max(found.residual, abs(found.scale - 1)) < self.tolerance

    def depends_on_order(self, side: int, together: Sequence[Intervention]) -> bool:
        """Whether a side's gradient changes with the order of the samples, as that of loose pairs does."""
        if any(len(update.steps) > 1 for update in self.epochs[side].updates_made[:1]):
            # Another order makes other micro-batches.
            return False
        others = tuple(one for one in together if one is not EQUAL_LABELS)
        straight = self.first_step((*self.baseline, *others))[side].steps[0].gradients
        turned = self.reversed_batch(side, (*self.baseline, *others)).steps[0].gradients
        assert straight is not None
        assert turned is not None
        return ratio(straight, turned).residual > self.tolerance

    @property
    def explained(self) -> tuple[Intervention, ...]:
        """All interventions under which the first gradients agree but for a scale."""
        return (*self.baseline, *self.explanation.interventions)

    def sees(self, side: int, intervention: Intervention) -> bool:
        """Whether ``intervention`` changes the first gradient of a side, beside those that explain the gap."""
        others = tuple(one for one in self.explained if one is not intervention)
        without, under = self.first_step(others)[side], self.first_step((*others, intervention))[side]
        return changed(without, under, self.tolerance)
