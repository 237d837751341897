"""A training as far as it is recorded: what all wrappers of functions share."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.parts import Chain, parts_of
from loopbench_diagnose.per_sample_rng import PerSampleRng
from loopbench_diagnose.recording.values import float64, is_finite, same, snapshot
from loopbench_diagnose.replicas import OUTSIDE, Shares, replica
from loopbench_diagnose.trace import (
    Arrays,
    Call,
    LayerOutput,
    LossCall,
    NonFinite,
    Step,
    Trace,
    Update,
    whole_call,
    whole_step,
)
from loopbench_diagnose.variables import parameters, shapes, state

# Weights and gradients are kept for this number of updates, and for more where they hold few values.
STEPS_KEPT = 8
VALUES_KEPT = 10_000_000
# How the place of a gradient begins.
GRADIENT = "the gradient of"


class Enough(BaseException):
    """Ends a training after as many updates as are wanted; no loop's ``except Exception`` takes it."""


@dataclass
class Replica:
    """Where a replica is: tapes and calls that are open, and what belongs to its next step. ``step`` is its last."""

    tapes: int = 0
    calls: int = 0
    pending: Call | None = None
    outputs: list[Any] = field(default_factory=list)
    stranger: tuple[Any, Call, list[Any]] | None = None
    tape: Any = None
    before: tuple[Arrays, Arrays] | None = None
    loss_scale: float = 1.0
    step: Step | None = None
    losses: list[LossCall] = field(default_factory=list)
    evaluated: Call | None = None
    layers: list[LayerOutput] | None = None
    chain: Chain | None = None


class Course:
    """Follows the weights of ``model`` through a training, update by update, into ``trace``.

    ``part_calls`` are the numbers of calls that a call of the model makes of each of its parts.
    """

    def __init__(self, model: keras.Model, part_calls: Sequence[int]) -> None:
        self.trace = Trace()
        self._noisy = threading.Event()
        self.rng = PerSampleRng(self._noisy)
        # Updates after which the training ends; None where it goes on.
        self.most_updates: int | None = None
        # The update that is under way.
        self.open = Update()
        self._places: dict[int, int] = {}
        self._part_calls = part_calls
        self.adopt(model)
        self.shapes = shapes(self.parameters)
        size = sum(int(np.prod(shape)) for shape in self.shapes) or 1
        self._kept = max(STEPS_KEPT, VALUES_KEPT // size)
        self._replicas: dict[int, Replica] = defaultdict(Replica)
        self._steps: Shares[Step] = Shares()
        self._evaluations: Shares[Call] = Shares()
        # The weights after the last update.
        self._last = self.trace.start = self.weights()

    def adopt(self, model: keras.Model) -> None:
        """Follows ``model``; a loop may go on with one that it has loaded."""
        self._model = model
        self.parameters = parameters(model)
        parts = parts_of(model)
        counts = self._part_calls if len(self._part_calls) == len(parts) else [1] * len(parts)
        # By id of each part, how often a call of the model calls it.
        self.calls_of_parts = {id(part): count for part, count in zip(parts, counts, strict=True)}
        for place, variable in enumerate(self.parameters):
            self._places[id(variable)] = place
            self._places[id(getattr(variable, "value", variable))] = place

    def finish(self) -> None:
        """Completes the trace but for figures."""
        self.end_chain()
        self.settle()
        trace = self.trace
        trace.trailing_loads = self.open.loads
        trace.steps = [whole_step(shares) for shares in self._steps.groups]
        trace.evaluations = [whole_call(shares) for shares in self._evaluations.groups]
        trace.replicas = max((len(shares) for shares in self._steps.groups), default=1)
        trace.model = self._model
        trace.noisy = self._noisy.is_set()
        trace.weights, trace.state = self.present()
        if trace.replicas > 1:
            # Replicas change the weights one by one: their updates are compared as steps alone.
            trace.updates_made = []
        self._look_at_weights(self.steps_made)

    # Where the training is.

    @property
    def here(self) -> Replica:
        """The replica that calls."""
        return self._replicas[replica()]

    @property
    def steps_made(self) -> int:
        """So far, those together that replicas made of one batch."""
        return len(self._steps.groups)

    @property
    def keeps_step(self) -> bool:
        """Whether the weights and gradients of the next step are kept."""
        return self._steps.place(replica()) < self._kept

    @property
    def keeps_update(self) -> bool:
        """Whether the weights around the update that is under way are kept."""
        return len(self.trace.updates_made) < self._kept

    # Variables.

    def present(self) -> tuple[Arrays, Arrays]:
        """The present parameters and other weights."""
        return self.weights(), self._state()

    def weights(self) -> Arrays:
        """The present parameters."""
        return snapshot(self.parameters)

    def _state(self) -> Arrays:
        return snapshot(state(self._model))

    def place(self, variable: Any) -> int | None:
        """The place of a variable among the parameters; None if it is none of them."""
        return self._places.get(id(variable))

    def has_any(self, variables: Sequence[Any]) -> bool:
        """Whether a parameter is among the variables."""
        return any(id(variable) in self._places for variable in variables)

    def in_order(self, gradients: Sequence[Any], variables: Sequence[Any]) -> Arrays | None:
        """Gradients by the place of their variable, zeros where there is none; None where no variable is ours."""
        pairs = zip(variables, gradients, strict=True)
        placed = {place: gradient for variable, gradient in pairs if (place := self.place(variable)) is not None}
        if not placed:
            return None
        dense = {place: float64(tf.convert_to_tensor(g)) for place, g in placed.items() if g is not None}
        return [dense.get(place, np.zeros(shape)) for place, shape in enumerate(self.shapes)]

    # Values that are not finite.

    def look(self, update: int, values: Mapping[str, Any]) -> None:
        """Notes the first of them, by its name, that is not finite; what was so before stays the first."""
        if self.trace.non_finite is None:
            bad = (name for name, value in values.items() if not is_finite(value))
            if (name := next(bad, None)) is not None:
                self.trace.non_finite = NonFinite(update, name)

    def _look_at_weights(self, updates: int) -> None:
        seen = self.trace.non_finite
        # A loss scale optimizer skips an update whose gradient overflows: the weights stay finite.
        skipped = seen is not None and seen.update <= updates and seen.place.startswith(GRADIENT)
        if skipped and all(map(is_finite, self._model.weights)):
            self.trace.non_finite = None
        self.look(updates, {variable.path: variable for variable in self._model.weights})

    # Calls of the model.

    def before_call(self) -> None:
        """Closes the last update and keeps the weights, if the call belongs to a step.

        Raises:
            Enough: as many updates were made as are wanted.
        """
        here = self.here
        if not here.tapes:
            return
        self._look_at_weights(self._steps.place(replica()))
        if replica() == OUTSIDE:
            self.settle()
            if self.most_updates is not None and len(self.trace.updates_made) >= self.most_updates:
                raise Enough
        if self.keeps_step:
            here.before = self.present()
            if not self.open.steps and self.open.before is None:
                self.open.before, self.open.state_before = here.before

    def add_evaluation(self, call: Call) -> None:
        """Adds a call of the model beside a tape."""
        self._evaluations.add(call, replica())

    def other_weights(self, call: Call) -> Arrays | None:
        """The weights of a call beside the training, where they are not those of the last update."""
        if call.taped or replica() != OUTSIDE:
            return None
        self.settle()
        present = self.weights()
        return None if same(present, self._last) else present

    def end_chain(self) -> None:
        """Parts that were called one by one beside a tape evaluate their samples."""
        here = self.here
        chain, here.chain = here.chain, None
        if chain is not None and not chain.call.taped and self.parameters:
            self.add_evaluation(chain.call)

    # Steps and updates.

    def begin_step(self, loss: float, gradients: Arrays) -> Step:
        """Adds a step, whose call of the model is pending, with the gradients in the order of the parameters."""
        here = self.here
        assert here.pending is not None
        scale = here.loss_scale
        step = Step(call=here.pending, loss=loss / scale, loss_scale=scale)
        names = (f"{GRADIENT} {variable.path}" for variable in self.parameters)
        self.look(self._steps.place(replica()) + 1, {"the loss": loss, **dict(zip(names, gradients, strict=True))})
        if self.keeps_step:
            step.gradients = [gradient / scale for gradient in gradients]
            step.weights, step.state = here.before or self.present()
        step.losses, step.draws = here.losses, self.rng.drawn()
        self._steps.add(step, replica())
        if replica() == OUTSIDE:
            self.open.steps.append(step)
        here.step, here.pending, here.loss_scale, here.losses, here.before = step, None, 1.0, [], None
        here.chain = None
        return step

    def go_on_with(self, model: keras.Model) -> None:
        """Follows ``model``, whose weights the loop did not get by training."""
        self.adopt(model)
        self.settle()
        self.here.before = self.present()
        if not self.open.steps:
            self.open.before, self.open.state_before = self.here.before
            self.open.loads.append("another model")

    def settle(self) -> None:
        """Closes the open update if it changed the weights: by an optimizer, or by hand."""
        update = self.open
        if not update.steps:
            return
        if update.complete:
            self._close()
        elif update.before is not None and not update.applied and not same(self.weights(), update.before):
            update.by_hand = True
            update.after, update.state_after = self.present()
            self._close()

    def _close(self) -> None:
        update = self.open
        if update.after is not None:
            self._last = update.after
        if not self.keeps_update:
            update.before = update.after = update.state_before = update.state_after = None
        self.trace.updates_made.append(update)
        self.open = Update()

    def complete(self, update: Update, after: Arrays) -> None:
        """An optimizer has completed ``update``; ``after`` are the parameters."""
        self._last = after
        if self.keeps_update:
            update.after, update.state_after = after, self._state()
