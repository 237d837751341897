"""What was seen of a training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

# Keras's names of the losses that a loop may report.
LOSSES = ("loss", "val_loss")

Array = NDArray[np.float64]
Arrays = list[Array]


@dataclass(eq=False)
class Call:
    """The model, called as a whole: ``rows`` are keys of its input's samples, bytes[n].

    ``taped`` says that a gradient was being recorded, ``training`` is the flag as the model took it.
    """

    rows: list[bytes]
    inputs: Any
    outputs: Any
    training: bool
    taped: bool
    steps_before: int


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
class MetricUse:
    """A metric that was fed: its class, the shapes it was given and how many values it counted a call."""

    kind: str
    label_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    counted: list[int] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)


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
