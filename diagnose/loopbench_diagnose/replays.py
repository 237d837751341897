"""Both sides over all samples, each training made once and when it is asked for."""

from dataclasses import replace
from functools import cached_property

from loopbench_diagnose import loss_scales
from loopbench_diagnose.comparison import Comparison
from loopbench_diagnose.data import Data, sample_keys
from loopbench_diagnose.findings import word
from loopbench_diagnose.first_gradients import Pair
from loopbench_diagnose.harness import Harness, NoUpdateError
from loopbench_diagnose.reuse import refuse_reuse
from loopbench_diagnose.side import Side
from loopbench_diagnose.trace import Trace

# Epochs over all samples: two, so that a reshuffle shows.
EPOCHS = 2
# Updates that a replay has at least, where this number of epochs is enough for them.
UPDATES = 6
MOST_EPOCHS = 8
# Samples that are few enough to take them all, and updates an epoch that the replay and the orders need at most.
SMALL = 211
MOST_UPDATES = 30
MOST_ORDERED = 100

# Relative noise of a gradient, by the type that the model computes in. Sound pairs in float32 agree to some 1e-6.
TOLERANCES = {"float16": 3e-2, "bfloat16": 1e-1}
TOLERANCE = 1e-4


def first_rows(trace: Trace) -> int:
    """Samples in the first update."""
    return len(trace.updates_made[0].rows) if trace.updates_made else len(trace.steps[0].call.rows)


class Replays:
    """What is known of two sides that train on all samples.

    ``data`` are the samples of the replay, of all samples ``whole``; ``ordered_data`` are those that orders are looked
    at on. Fewer samples are taken where updates are many, if ``reduced``.
    """

    def __init__(self, harness: Harness, data: Data, sides: tuple[Side, Side], *, reduced: bool = True) -> None:
        self.harness = harness
        self._reduced = reduced
        self.whole = self.data = self.ordered_data = data
        self.sides = sides
        self._fit_batches()
        # Whether a side fails on a smaller last batch.
        self.demands_whole_batches = False
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
                    f"the {name} loop trains another model than the one that it is given; train its argument `model`, "
                    "and no model from outside of the loop"
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
        return [first_rows(trace) for trace in traces if trace.steps]

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
        return min(first_rows(trace) for trace in self.epochs)

    @cached_property
    def tolerance(self) -> float:
        """Relative differences of gradients below it are rounding."""
        # A model may leave the computing to layers of another type than its own.
        return max(TOLERANCES.get(dtype, TOLERANCE) for dtype in self.harness.compute_dtypes)

    def first(self, count: int) -> Data:
        """The first samples, of either set: what one batch does to the weights needs no long validation."""
        return self.data.first(count)

    @cached_property
    def known(self) -> frozenset[bytes]:
        """Keys of all training samples."""
        return frozenset(self.rows(self.data))

    @cached_property
    def observed(self) -> Comparison:
        """The replays as they are."""
        return Comparison(self.epochs, self.harness.names, self.tolerance, self.known)

    @cached_property
    def replicas(self) -> tuple[int, int]:
        """Among how many replicas each side divides a batch."""
        first, second = (trace.replicas for trace in self.epochs)
        return first, second
