"""What was seen of a training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from loopbench_diagnose.settings import comparable

# Keras's names of the losses that a loop may report.
LOSSES = ("loss", "val_loss")

# Relative; what float32 makes of sums of weights.
SUMS = 1e-3

Array = NDArray[np.float64]
Arrays = list[Array]


@dataclass(eq=False)
class Call:
    """The model, called as a whole: ``rows`` are keys of its input's samples, bytes[n].

    ``taped`` says that a gradient was being recorded, ``training`` is the flag as the model took it. ``layers`` are the
    outputs of the layers in the order of their calls, kept for the first steps alone. ``weights`` are those of a call
    beside the training where they are not those of the last update. ``penalty`` is the sum of ``model.losses``.
    ``lone`` says that a loop called the layers one by one; ``rows`` and ``inputs`` are then those of the first.
    ``losses`` are those that Keras computed after a call beside the training, before the next call.
    """

    rows: list[bytes]
    inputs: Any
    outputs: Any
    training: bool
    taped: bool
    steps_before: int
    layers: list["LayerOutput"] = field(default_factory=list)
    weights: Arrays | None = None
    penalty: float = 0.0
    lone: bool = False
    losses: list["LossCall"] = field(default_factory=list)


@dataclass(eq=False)
class LayerOutput:
    """What a layer gave: its name and class, its configuration, and float64 arrays."""

    name: str
    kind: str
    config: dict[str, Any]
    outputs: list[Array]


@dataclass(eq=False)
class LossCall:
    """A Keras loss that was computed: its function's name, its options, and what it was given.

    ``labels`` and ``weights`` are float64 arrays, None where they are none.
    """

    name: str
    options: dict[str, Any]
    labels: Array | None
    weights: Array | None
    has_mask: bool


@dataclass(eq=False)
class OutputGradient:
    """The gradient of the loss with respect to one output of the model.

    ``values`` are the output, or its logits where Keras computes a loss from those (``of_logits``).
    """

    values: Array
    gradient: Array
    of_logits: bool


@dataclass(eq=False)
class Step:
    """One gradient, and the update that was made of it.

    ``gradients`` are those of the tape, ``applied`` those that reached the optimizer, in the order of the model's
    trainable variables, None where there was none. ``loss`` is what was differentiated, without the loss scale.
    ``weights`` and ``state`` are the trainable and the other weights before the step; kept for the first steps alone.
    ``updated`` says that an optimizer was called before the next gradient was taken.
    """

    call: Call
    loss: float
    loss_scale: float
    gradients: Arrays | None = None
    applied: Arrays | None = None
    weights: Arrays | None = None
    state: Arrays | None = None
    updated: bool = False
    output_gradients: list[OutputGradient] = field(default_factory=list)
    losses: list[LossCall] = field(default_factory=list)
    draws: list[str] = field(default_factory=list)

    @property
    def used(self) -> Arrays | None:
        """The gradients as they reached an optimizer, or the tape's where none was seen."""
        return self.gradients if self.applied is None else self.applied


def _concatenated(parts: Sequence[Any]) -> Any:
    return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *parts)


def whole_call(shares: Sequence[Call]) -> Call:
    """One call on a whole batch, of what every replica made of its share."""
    if len(shares) == 1:
        return shares[0]
    return replace(
        shares[0],
        rows=[key for call in shares for key in call.rows],
        inputs=_concatenated([call.inputs for call in shares]),
        outputs=_concatenated([call.outputs for call in shares]),
    )


def _sum(parts: Sequence[Arrays | None]) -> Arrays | None:
    known = [arrays for arrays in parts if arrays is not None]
    return [np.sum(arrays, axis=0) for arrays in zip(*known, strict=True)] if known else None


def restricted(trace: "Trace", places: Sequence[int]) -> "Trace":
    """The trace with those variables alone, by their places."""

    def taken(arrays: Arrays | None) -> Arrays | None:
        return None if arrays is None else [arrays[place] for place in places]

    steps = [
        replace(step, gradients=taken(step.gradients), applied=taken(step.applied), weights=taken(step.weights))
        for step in trace.steps
    ]
    return replace(trace, steps=steps, weights=taken(trace.weights) or [], whole_weights=trace.weights)


def combined(trace: "Trace") -> "Trace":
    """The trace with one step an update: gradients that an update combines are taken together.

    Their sum, or what an optimizer was given where that is something else, is the gradient of that step.
    """
    if all(len(update.steps) <= 1 for update in trace.updates_made):
        return trace
    return replace(trace, steps=[_combined(update) for update in trace.updates_made])


def _combined(update: "Update") -> Step:
    first = update.steps[0]
    if len(update.steps) == 1:
        return first
    calls = [
        step.call
        for place, step in enumerate(update.steps)
        if step.call.rows not in [s.call.rows for s in update.steps[:place]]
    ]
    total = _sum([step.gradients for step in update.steps])
    applied = None
    if update.applied and total is not None:
        applied = [update.applied.get(place, np.zeros_like(array)) for place, array in enumerate(total)]
    return replace(
        first,
        call=whole_call(calls) if len(calls) > 1 else calls[0],
        loss=_scale(total, applied) * float(np.sum([step.loss for step in update.steps])),
        gradients=total if applied is None else applied,
        applied=applied,
        updated=True,
        output_gradients=[],
    )


def _scale(total: Arrays | None, applied: Arrays | None) -> float:
    if total is None or applied is None:
        return 1.0
    size = sum(float((array * array).sum()) for array in total)
    return sum(float((a * b).sum()) for a, b in zip(total, applied, strict=True)) / size if size else 1.0


def _samples(shares: Sequence[Step]) -> list[int]:
    return [len(step.call.rows) for step in shares]


def whole_step(shares: Sequence[Step]) -> Step:
    """One step on a whole batch: Keras's optimizers add up the gradients of all replicas, whatever the loss is.

    Losses are added up too, each for its samples' part of the batch, as ``fit`` reports them of unequal shares.
    """
    if len(shares) == 1:
        return shares[0]
    return replace(
        shares[0],
        call=whole_call([step.call for step in shares]),
        loss=len(shares) * float(np.average([step.loss for step in shares], weights=_samples(shares))),
        gradients=_sum([step.gradients for step in shares]),
        applied=_sum([step.applied for step in shares]),
        updated=any(step.updated for step in shares),
    )


@dataclass(eq=False)
class Update:
    """One change of the weights by training: all gradients since the last one, and what was made of them.

    ``before`` and ``after`` are the parameters before the first of its gradients and after the change, ``state_before``
    and ``state_after`` the other weights; all four are None beyond the updates that are kept. ``applied`` are the
    gradients that reached optimizers, by the place of the variable; ``optimizers``, ``rates`` and ``iterations`` are
    those of the same places. ``by_hand`` says that no optimizer made the update. ``by_row`` are the places of variables
    whose gradients an optimizer was given as ``tf.IndexedSlices``. ``loads`` are the ways in which a side
    restored weights since the last update.
    """

    steps: list[Step] = field(default_factory=list)
    before: Arrays | None = None
    after: Arrays | None = None
    state_before: Arrays | None = None
    state_after: Arrays | None = None
    applied: dict[int, Array] = field(default_factory=dict)
    optimizers: dict[int, Any] = field(default_factory=dict)
    rates: dict[int, float] = field(default_factory=dict)
    iterations: dict[int, int] = field(default_factory=dict)
    by_hand: bool = False
    by_row: set[int] = field(default_factory=set)
    complete: bool = False
    loads: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[bytes]:
        """Keys of the samples of all its gradients, in order; those of several gradients of the same batch once."""
        keys: list[bytes] = []
        for step in self.steps:
            if step.call.rows != keys[-len(step.call.rows) :]:
                keys.extend(step.call.rows)
        return keys

    @property
    def settings(self) -> dict[int, dict[str, Any]]:
        """The configurations of the optimizers without their names, by the places of the variables that they train."""
        return {place: comparable(optimizer) for place, optimizer in self.optimizers.items()}


@dataclass(eq=False)
class MeanUse:
    """A ``keras.metrics.Mean`` since its last reset: values and weights that it was fed with, float[k] each."""

    name: str
    values: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    steps_before: int = 0


@dataclass(eq=False)
class MetricResult:
    """What a metric came to: its class and configuration, and its value."""

    name: str
    kind: str
    config: dict[str, Any]
    value: float


@dataclass(eq=False)
class MetricUse:
    """A metric that was fed: its class, the shapes it was given and how many values it counted a call.

    Where it is ``weighted``, both numbers are sums of weights.
    """

    kind: str
    label_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weighted: bool = False
    counted: list[float] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)

    @property
    def counts_samples(self) -> bool:
        """Whether it counted one value a sample."""
        return np.allclose(self.counted, self.samples, rtol=SUMS)


def _finite(arrays: Arrays | None) -> bool:
    """Whether no value is NaN or infinite; what was not kept counts as finite."""
    return all(np.isfinite(array).all() for array in arrays or ())


@dataclass(frozen=True)
class NonFinite:
    """The first place that held NaN or infinity: ``update`` counts from 1, and is 0 for what was so from the start."""

    update: int
    place: str


@dataclass(eq=False)
class Trace:
    """A training from begin to end.

    ``optimizers`` are those that made updates, ``scaling_optimizers`` the loss scale optimizers around them. ``model``
    is the trained model, ``weights`` and ``state`` are its trainable and other weights at the end. ``replicas`` is how
    many a batch was divided among. ``noisy`` says that a random layer drew. ``drawn`` is the state of Python's and
    NumPy's global random generators at the end. ``non_finite`` is where NaN or infinity was first seen, if anywhere; it
    may have come to nothing, as a gradient that overflows under a loss scale does.
    """

    steps: list[Step] = field(default_factory=list)
    evaluations: list[Call] = field(default_factory=list)
    metrics: dict[str, MetricUse] = field(default_factory=dict)
    optimizers: list[Any] = field(default_factory=list)
    scaling_optimizers: list[Any] = field(default_factory=list)
    model: Any = None
    reported: dict[str, float] = field(default_factory=dict)
    weights: Arrays = field(default_factory=list)
    state: Arrays = field(default_factory=list)
    replicas: int = 1
    noisy: bool = False
    drawn: str = ""
    non_finite: NonFinite | None = None
    updates_made: list[Update] = field(default_factory=list)
    trailing_loads: list[str] = field(default_factory=list)
    start: Arrays = field(default_factory=list)
    whole_weights: Arrays = field(default_factory=list)
    start_state: Arrays = field(default_factory=list)
    means: list[MeanUse] = field(default_factory=list)
    results: list[MetricResult] = field(default_factory=list)
    epochs: int = 2
    replaced_inputs: bool = False
    trains_another_model: bool = False

    @property
    def divergence(self) -> NonFinite | None:
        """The same where weights, state or a reported loss ended so."""
        lost = [name for name in LOSSES if not np.isfinite(self.reported.get(name, 0.0))]
        if lost or not _finite([*self.weights, *self.state]):
            return self.non_finite or NonFinite(len(self.steps), ", ".join(lost))
        return None

    def finite_part(self) -> "Trace":
        """The same up to the first step whose gradients, or the weights after it, are not finite; one step at least."""
        if not self.steps:
            return self
        ends = [step.weights for step in self.steps[1:]] + [self.weights]
        bad = (
            number
            for number, (step, after) in enumerate(zip(self.steps, ends, strict=True))
            if not _finite(step.gradients) or not _finite(after)
        )
        count = max(1, next(bad, len(self.steps)))
        if count >= len(self.steps):
            return self
        # Only the first steps keep their weights.
        kept = sum(step.weights is not None for step in self.steps)
        count = max(1, min(count, kept - 1))
        return replace(self, steps=self.steps[:count], weights=ends[count - 1] or [])

    @property
    def updates(self) -> int:
        """Gradients that an optimizer was given, or all of them where none was; several may make one update."""
        return sum(step.updated for step in self.steps) or len(self.steps)

    def movement(self, steps: int) -> Arrays:
        """What the first ``steps`` steps did to the trainable weights."""
        after = self.steps[steps].weights if steps < len(self.steps) else self.weights
        before = self.steps[0].weights
        assert after is not None
        assert before is not None
        return [later - earlier for later, earlier in zip(after, before, strict=True)]
