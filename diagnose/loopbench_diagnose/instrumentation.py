"""Records a training from outside: what the model, the tape, the optimizer and the metrics are called with.

Keras's and TensorFlow's own classes are wrapped for as long as the training lasts, so that a loop needs no change to be
recorded. Everything runs eagerly meanwhile; otherwise only the first call, the trace, would be seen.
"""

import inspect
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import have_values, leaves, sample_keys
from loopbench_diagnose.execution import eagerly
from loopbench_diagnose.parts import Chain, parts_of
from loopbench_diagnose.patching import replaced
from loopbench_diagnose.per_sample_rng import PerSampleRng
from loopbench_diagnose.recurrent import long_layers_as_graphs
from loopbench_diagnose.replicas import OUTSIDE, Shares, replica
from loopbench_diagnose.trace import (
    Arrays,
    Call,
    LayerOutput,
    LossCall,
    MeanUse,
    MetricResult,
    MetricUse,
    NonFinite,
    OutputGradient,
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
# Layers' outputs are kept for the first calls alone.
CALLS_WITH_LAYERS = 1
# How the place of a gradient begins.
GRADIENT = "the gradient of"


def float64(tensor: Any) -> Any:
    """The values of a tensor or a variable, as float64."""
    # A variable by way of its tensor: NumPy deprecates how variables turn themselves into arrays.
    return np.asarray(tf.convert_to_tensor(tensor), np.float64)


def _is_number(tensor: Any) -> bool:
    dtype = tf.as_dtype(getattr(tensor, "dtype", None) or np.asarray(tensor).dtype)
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def numbers(arrays: Any) -> Any:
    """The arrays of a nested structure as float64; what holds no numbers stays as it is."""
    return keras.tree.map_structure(
        lambda leaf: float64(leaf) if _is_number(leaf) else np.asarray(keras.ops.convert_to_numpy(leaf)), arrays
    )


def _is_finite(value: Any) -> bool:
    tensor = tf.convert_to_tensor(value)
    return not tensor.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(tensor)))


def snapshot(variables: Any) -> Arrays:
    """The present values."""
    return [float64(variable) for variable in variables]


class Enough(BaseException):
    """Ends a training after as many updates as are wanted; no loop's ``except Exception`` takes it."""


@dataclass
class _Replica:
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


class Recorder:
    """Writes what the wrappers are called with into ``trace``.

    ``forced_inputs`` are the inputs of the model's calls under a tape, one a call, that replace its outputs.
    ``part_calls`` are the numbers of calls that a call of the model makes of each of its parts.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        force_training: bool,
        known: frozenset[bytes] = frozenset(),
        forced_inputs: Sequence[Any] = (),
        part_calls: Sequence[int] = (),
    ) -> None:
        self.trace = Trace()
        self._noisy = threading.Event()
        self.rng = PerSampleRng(self._noisy)
        self._force_training = force_training
        self._known = known
        self._forced = list(forced_inputs)
        self._taped_calls = 0
        # Whether a call was made on samples as the data holds them.
        self._met_known = False
        # Samples of the first call under a tape.
        self.first_batch = 0
        # Updates after which the training ends; None where it goes on.
        self.most_updates: int | None = None
        self._places: dict[int, int] = {}
        self._part_calls = part_calls
        self._adopt(model)
        self._shapes = shapes(self._parameters)
        size = sum(int(np.prod(shape)) for shape in self._shapes) or 1
        self._kept = max(STEPS_KEPT, VALUES_KEPT // size)
        self._replicas: dict[int, _Replica] = defaultdict(_Replica)
        self._steps: Shares[Step] = Shares()
        self._evaluations: Shares[Call] = Shares()
        self._open = Update()
        self._last: Arrays = snapshot(self._parameters)
        self.trace.start = self._last
        self._means: dict[int, MeanUse] = {}
        self._metrics: list[Any] = []

    def _adopt(self, model: keras.Model) -> None:
        """Follows ``model``; a loop may go on with one that it has loaded."""
        self._model = model
        self._parameters = parameters(model)
        parts = parts_of(model)
        counts = self._part_calls if len(self._part_calls) == len(parts) else [1] * len(parts)
        self._most_calls = {id(part): count for part, count in zip(parts, counts, strict=True)}
        for place, variable in enumerate(self._parameters):
            self._places[id(variable)] = place
            self._places[id(getattr(variable, "value", variable))] = place

    def finish(self, reported: dict[str, float]) -> Trace:
        """The trace, complete."""
        self._end_chain()
        self._settle()
        trace = self.trace
        trace.trailing_loads = self._open.loads
        trace.steps = [whole_step(shares) for shares in self._steps.groups]
        trace.evaluations = [whole_call(shares) for shares in self._evaluations.groups]
        trace.replicas = max((len(shares) for shares in self._steps.groups), default=1)
        trace.reported, trace.model = reported, self._model
        trace.noisy = self._noisy.is_set()
        trace.weights, trace.state = self._weights(), self._state()
        trace.means.extend(use for use in self._means.values() if use.values)
        trace.results = [result for metric in self._metrics if (result := _result(metric)) is not None]
        if trace.replicas > 1:
            # Replicas change the weights one by one: their updates are compared as steps alone.
            trace.updates_made = []
        self._look_at_weights(len(self._steps.groups))
        return trace

    @property
    def _here(self) -> _Replica:
        return self._replicas[replica()]

    def _weights(self) -> Arrays:
        return snapshot(self._parameters)

    def _state(self) -> Arrays:
        return snapshot(state(self._model))

    def _is_ours(self, layer: Any) -> bool:
        return isinstance(layer, keras.Model) and any(id(v) in self._places for v in layer.variables)

    # The model.

    def layer_call(self, original: Any) -> Any:
        """Around ``Layer.__call__``: the outermost call of the model, or of one around its layers."""

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            here = self._here
            if here.calls:
                return self._inner_call(original, layer, args, kwargs)
            if not args or not have_values(args[0]):
                return original(layer, *args, **kwargs)
            if id(layer) in self._most_calls:
                return self._lone_call(original, layer, args, kwargs)
            if not isinstance(layer, keras.Model):
                return original(layer, *args, **kwargs)
            if not self._is_ours(layer):
                return self._stranger_call(original, layer, args, kwargs)
            return self._outer_call(original, layer, args, kwargs)

        return call

    def _outer_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        here = self._here
        self._end_chain()
        kwargs = self._with_forced_flag(layer, kwargs)
        args = self._with_forced_inputs(args)
        rows = sample_keys(args[0])
        self._begin_call(rows, keeps_layers=here.pending is None or here.pending.lone)
        here.calls += 1
        try:
            outputs = original(layer, *args, **kwargs)
        finally:
            here.calls -= 1
        self._record_call(layer, args, kwargs, outputs, rows)
        return outputs

    def _begin_call(self, rows: list[bytes], *, keeps_layers: bool = True) -> None:
        """Before a call of the model, or of the first of its parts."""
        here = self._here
        self._remember_weights()
        self._key_noise(rows)
        if here.tapes and not self.first_batch:
            self.first_batch = len(rows)
        kept = here.tapes and len(self._steps.groups) < CALLS_WITH_LAYERS and keeps_layers
        here.layers = [] if kept else None

    def _key_noise(self, rows: list[bytes]) -> None:
        """Random layers draw for these samples; values that a model made of others go on with the last ones.

        What a generator makes differs with its weights: noise that followed it would differ as well.
        """
        known = bool(rows) and self._known.issuperset(rows)
        if known or not self._met_known:
            self.rng.begin(rows)
        self._met_known = self._met_known or known

    def _with_forced_flag(self, layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        forced = self._here.tapes and self._force_training and _takes_flag(layer)
        return {**kwargs, "training": True} if forced else kwargs

    def _with_forced_inputs(self, args: Any) -> Any:
        if not self._here.tapes:
            return args
        number, self._taped_calls = self._taped_calls, self._taped_calls + 1
        if number >= len(self._forced):
            return args
        own, other = leaves(args[0]), leaves(self._forced[number])
        if [np.shape(leaf) for leaf in own] != [np.shape(leaf) for leaf in other]:
            return args
        self.trace.replaced_inputs = True
        given = iter(
            [
                tf.cast(tf.convert_to_tensor(new), tf.convert_to_tensor(old).dtype)
                for old, new in zip(own, other, strict=True)
            ]
        )
        return (keras.tree.map_structure(lambda leaf: None if leaf is None else next(given), args[0]), *args[1:])

    def _stranger_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """A model with other variables of the same shapes may be the one that a loop goes on with."""
        outputs = original(layer, *args, **kwargs)
        if self._here.tapes and shapes(parameters(layer)) == self._shapes:
            call = self._call_of(layer, args, kwargs, outputs, sample_keys(args[0]))
            self._here.stranger = layer, call, leaves(outputs)
        return outputs

    def _lone_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """A part that a loop calls by itself: one after the other they stand for a call of the model."""
        here = self._here
        kwargs = self._with_forced_flag(layer, kwargs)
        rows = sample_keys(args[0]) if np.ndim(leaves(args[0])[0]) else []
        starts = here.chain is None or (bool(rows) and self._known.issuperset(rows))
        if not self._stands_for_model(layer, starts=starts):
            return self._call_apart(original, layer, args, kwargs, rows)
        if starts:
            self._end_chain()
            args = self._with_forced_inputs(args)
            self._begin_call(rows)
        here.calls += 1
        try:
            outputs = self._inner_call(original, layer, args, kwargs)
        finally:
            here.calls -= 1
        if have_values(outputs):
            self._add_to_chain(layer, replace(self._call_of(layer, args, kwargs, outputs, rows), lone=True))
        return outputs

    def _stands_for_model(self, part: Any, *, starts: bool) -> bool:
        """Whether a call of a part belongs to those that stand for a call of the model."""
        here, most = self._here, self._most_calls[id(part)]
        if here.pending is not None and (here.chain is None or here.pending is not here.chain.call):
            return False
        if starts or here.chain is None:
            # A loop may train parts that the model itself does not call.
            return here.pending is None or most > 0 or not isinstance(part, keras.Model)
        # What a generator makes is not of the samples, but the only chain where there is no other.
        known = self._known.issuperset(here.chain.call.rows)
        return here.chain.takes(part, most if known else max(most, 1))

    def _call_apart(self, original: Any, layer: Any, args: Any, kwargs: Any, rows: list[bytes]) -> Any:
        """A call beside those that stand for a call of the model: nothing of it is kept."""
        here = self._here
        if isinstance(layer, keras.Model):
            self._key_noise(rows)
        kept, here.layers = here.layers, None
        try:
            with _silent_calls(here):
                return original(layer, *args, **kwargs)
        finally:
            here.layers = kept

    def _add_to_chain(self, part: Any, call: Call) -> None:
        here = self._here
        if here.chain is None:
            call.weights = self._other_weights(call)
            here.chain = Chain(call)
        here.chain.add(part, call, takes_flag=_takes_flag(part))
        if here.tapes:
            here.pending, here.outputs = here.chain.call, leaves(call.outputs)
        else:
            here.evaluated = here.chain.call

    def _end_chain(self) -> None:
        """Parts that were called one by one beside a tape evaluate their samples."""
        here = self._here
        chain, here.chain = here.chain, None
        if chain is not None and not chain.call.taped and self._parameters:
            self._evaluations.add(chain.call, replica())

    def _inner_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        outputs = original(layer, *args, **kwargs)
        kept = self._here.layers
        if kept is not None and not isinstance(layer, keras.Model) and have_values(outputs):
            values = [float64(leaf) for leaf in leaves(outputs) if _is_number(leaf)]
            kept.append(LayerOutput(layer.name, type(layer).__name__, _config(layer), values))
        return outputs

    def _remember_weights(self) -> None:
        here = self._here
        if not here.tapes:
            return
        self._look_at_weights(self._steps.place(replica()))
        if replica() == OUTSIDE:
            self._settle()
            if self.most_updates is not None and len(self.trace.updates_made) >= self.most_updates:
                raise Enough
        if self._keeps():
            here.before = (self._weights(), self._state())
            if not self._open.steps and self._open.before is None:
                self._open.before, self._open.state_before = here.before

    def _look_at_weights(self, updates: int) -> None:
        seen = self.trace.non_finite
        # A loss scale optimizer skips an update whose gradient overflows: the weights stay finite.
        skipped = seen is not None and seen.update <= updates and seen.place.startswith(GRADIENT)
        if skipped and all(map(_is_finite, self._model.weights)):
            self.trace.non_finite = None
        self._look(updates, {variable.path: variable for variable in self._model.weights})

    def _look(self, update: int, values: Mapping[str, Any]) -> None:
        """Notes the first of them, by its name, that is not finite; what was so before stays the first."""
        if self.trace.non_finite is None:
            bad = (name for name, value in values.items() if not _is_finite(value))
            if (name := next(bad, None)) is not None:
                self.trace.non_finite = NonFinite(update, name)

    def _keeps(self) -> bool:
        return self._steps.place(replica()) < self._kept

    def _call_of(self, layer: Any, args: Any, kwargs: Any, outputs: Any, rows: list[bytes]) -> Call:
        here = self._here
        return Call(
            rows=rows,
            inputs=keras.tree.map_structure(keras.ops.convert_to_numpy, args[0]),
            outputs=numbers(outputs),
            training=_training_flag(layer, args, kwargs),
            taped=here.tapes > 0,
            steps_before=len(self._steps.groups),
            layers=here.layers or [],
            penalty=self._penalty(layer),
        )

    def _penalty(self, layer: Any) -> float:
        losses = layer.losses
        return sum(float(float64(loss).sum()) for loss in losses) if losses else 0.0

    def _record_call(self, layer: Any, args: Any, kwargs: Any, outputs: Any, rows: list[bytes]) -> None:
        here = self._here
        call = self._call_of(layer, args, kwargs, outputs, rows)
        here.layers = None
        if not call.taped:
            call.weights = self._other_weights(call)
            self._evaluations.add(call, replica())
            here.evaluated = call
            return
        # Of several calls under a tape the one on samples of the data stands for the step: a whole one, where there is.
        known = here.pending is not None and not here.pending.lone and self._known.issuperset(here.pending.rows)
        if here.pending is None or (not known and (self._known.issuperset(rows) or not self._known)):
            here.pending, here.outputs = call, leaves(outputs)

    def _other_weights(self, call: Call) -> Arrays | None:
        """The weights of a call beside the training, where they are not those of the last update."""
        if call.taped or replica() != OUTSIDE:
            return None
        self._settle()
        present = self._weights()
        return None if _same(present, self._last) else present

    # The tape.

    def tape_enter(self, original: Any) -> Any:
        """Around ``GradientTape.__enter__``."""

        def enter(tape: Any) -> Any:
            here = self._here
            if here.tapes == 0:
                self._end_chain()
                here.pending, here.outputs, here.losses, here.stranger = None, [], [], None
                here.evaluated = None
            here.tapes += 1
            return original(tape)

        return enter

    def tape_exit(self, original: Any) -> Any:
        """Around ``GradientTape.__exit__``."""

        def leave(tape: Any, *args: Any) -> Any:
            self._here.tapes -= 1
            return original(tape, *args)

        return leave

    def tape_gradient(self, original: Any) -> Any:
        """Around ``GradientTape.gradient``: a step begins."""

        def gradient(tape: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            here = self._here
            flat = tf.nest.flatten(sources)
            self._recognise(flat)
            wanted = here.outputs if here.pending is not None and self._keeps() and self._concerns(flat) else []
            more = [(leaf, getattr(leaf, "_keras_logits", None)) for leaf in wanted if _is_differentiable(leaf)]
            extra = [tensor for pair in more for tensor in pair if tensor is not None]
            with _silent_calls(here):
                found_all = original(tape, target, [*flat, *extra], *args, **kwargs)
            gradients = tf.nest.pack_sequence_as(sources, found_all[: len(flat)]) if flat else found_all
            found = self._in_order(found_all[: len(flat)], flat)
            if here.pending is not None and found is not None:
                loss = sum(float(float64(leaf).sum()) for leaf in leaves(target))
                self._begin_step(loss, found)
                here.tape = tape
                assert here.step is not None
                here.step.output_gradients = _output_gradients(more, found_all[len(flat) :], here.step.loss_scale)
            elif found is not None and tape is here.tape:
                self._complete_step(found)
            return gradients

        return gradient

    def _concerns(self, sources: list[Any]) -> bool:
        return any(id(source) in self._places for source in sources)

    def _recognise(self, sources: list[Any]) -> None:
        """A loop that takes gradients of a model that it has loaded or copied goes on with that one."""
        here = self._here
        if here.stranger is None or self._concerns(sources):
            return
        model, call, outputs = here.stranger
        if not self._steps.groups and not self._open.loads:
            self.trace.trains_another_model = True
            return
        own = {id(key) for v in parameters(model) for key in (v, getattr(v, "value", v))}
        if any(id(source) in own for source in sources):
            self._adopt(model)
            here.pending, here.outputs, here.stranger = call, outputs, None
            self._settle()
            here.before = (self._weights(), self._state())
            if not self._open.steps:
                self._open.before, self._open.state_before = here.before
                self._open.loads.append("another model")

    def _in_order(self, gradients: Sequence[Any], sources: Sequence[Any]) -> Arrays | None:
        """Gradients by the place of their variable, zeros where there is none; None where no variable is ours."""
        placed = {self._places[id(s)]: g for s, g in zip(sources, gradients, strict=True) if id(s) in self._places}
        if not placed:
            return None
        dense = {place: float64(tf.convert_to_tensor(g)) for place, g in placed.items() if g is not None}
        return [dense.get(place, np.zeros(shape)) for place, shape in enumerate(self._shapes)]

    def _begin_step(self, loss: float, gradients: Arrays) -> None:
        here = self._here
        assert here.pending is not None
        scale = here.loss_scale
        step = Step(call=here.pending, loss=loss / scale, loss_scale=scale)
        names = (f"{GRADIENT} {variable.path}" for variable in self._parameters)
        self._look(self._steps.place(replica()) + 1, {"the loss": loss, **dict(zip(names, gradients, strict=True))})
        if self._keeps():
            step.gradients = [gradient / scale for gradient in gradients]
            if here.before is None:
                here.before = (self._weights(), self._state())
            step.weights, step.state = here.before
        step.losses, step.draws = here.losses, self.rng.drawn()
        self._steps.add(step, replica())
        if replica() == OUTSIDE:
            self._open.steps.append(step)
        here.step, here.pending, here.loss_scale, here.losses, here.before = step, None, 1.0, [], None
        here.chain = None

    def _complete_step(self, gradients: Arrays) -> None:
        """More gradients from the same tape: of other variables, where every part of a model has its own optimizer."""
        step = self._here.step
        if step is not None and step.gradients is not None:
            step.gradients = [
                known if known.any() else new / step.loss_scale
                for known, new in zip(step.gradients, gradients, strict=True)
            ]

    # Updates.

    def _settle(self) -> None:
        """Closes the open update if it changed the weights: by an optimizer, or by hand."""
        update = self._open
        if not update.steps:
            return
        if update.complete:
            self._close()
        elif update.before is not None and not update.applied and not _same(self._weights(), update.before):
            update.by_hand = True
            update.after, update.state_after = self._weights(), self._state()
            self._close()

    def _close(self) -> None:
        update = self._open
        if update.after is not None:
            self._last = update.after
        if len(self.trace.updates_made) >= self._kept:
            update.before = update.after = update.state_before = update.state_after = None
        self.trace.updates_made.append(update)
        self._open = Update()

    def optimizer_apply(self, original: Any) -> Any:
        """Around ``Optimizer.apply``; a loss scale optimizer calls its inner optimizer's with what is applied."""

        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            variables = optimizer._trainable_variables if trainable_variables is None else trainable_variables  # noqa: SLF001
            grads, variables = list(grads), list(variables)
            if all(known is not optimizer for known in self.trace.optimizers):
                self.trace.optimizers.append(optimizer)
            applied = self._in_order(grads, variables)
            here = self._here
            if here.step is not None and applied is not None:
                self._note_applied(here.step, applied, variables)
            if applied is None or replica() != OUTSIDE:
                return original(optimizer, grads, variables)
            before = self._weights()
            rate = _rate(optimizer)
            result = original(optimizer, grads, variables)
            self._applied(optimizer, grads, variables, rate, before)
            return result

        return apply

    def _note_applied(self, step: Step, applied: Arrays, variables: list[Any]) -> None:
        """Of several optimizers after one gradient, each adds its own variables."""
        own = {self._places.get(id(variable)) for variable in variables}
        if step.gradients is not None:
            before = step.applied or applied
            step.applied = [
                new if place in own else old for place, (old, new) in enumerate(zip(before, applied, strict=True))
            ]
        step.updated = True

    def _applied(
        self, optimizer: Any, grads: list[Any], variables: list[Any], rate: float | None, before: Arrays
    ) -> None:
        update = self._open
        if not update.steps and self.trace.updates_made:
            # A second optimizer, or a second call, after the same gradient.
            update = self.trace.updates_made[-1]
        after = self._weights()
        for gradient, variable in zip(grads, variables, strict=True):
            place = self._places.get(id(variable))
            if place is None or gradient is None:
                continue
            if isinstance(gradient, tf.IndexedSlices):
                update.by_row.add(place)
            value = float64(tf.convert_to_tensor(gradient))
            adds = place in update.applied and _accumulates(optimizer)
            update.applied[place] = update.applied[place] + value if adds else value
            update.optimizers[place] = optimizer
            if rate is not None:
                update.rates[place] = rate
            update.iterations[place] = int(float64(optimizer.iterations))
        update.complete = not _accumulates(optimizer) or not _same(before, after)
        steps = getattr(optimizer, "gradient_accumulation_steps", None)
        if update.complete and steps:
            # Keras applies the mean of the gradients that it has accumulated.
            own = [place for place, made in update.optimizers.items() if made is optimizer]
            update.applied.update({place: update.applied[place] / steps for place in own})
        if update.complete and self._keeps_update():
            update.after, update.state_after = after, self._state()
        if update.complete:
            self._last = after

    def _keeps_update(self) -> bool:
        return len(self.trace.updates_made) < self._kept

    def scale_loss(self, original: Any) -> Any:
        """Around ``Optimizer.scale_loss``."""

        def scaled(optimizer: Any, loss: Any) -> Any:
            result = original(optimizer, loss)
            before, after = float(float64(loss).sum()), float(float64(result).sum())
            self._here.loss_scale = after / before if before and np.isfinite(after / before) else 1.0
            return result

        return scaled

    def scaling_apply(self, original: Any) -> Any:
        """Around ``LossScaleOptimizer.apply``, which calls its inner optimizer's."""

        def apply(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if all(known is not optimizer for known in self.trace.scaling_optimizers):
                self.trace.scaling_optimizers.append(optimizer)
            # Where the scale was too large, no update is made; that is chance, and no fewer updates.
            if self._here.step is not None:
                self._here.step.updated = True
            return original(optimizer, *args, **kwargs)

        return apply

    # Losses and metrics.

    def loss_call(self, original: Any) -> Any:
        """Around ``Loss.__call__``: what a Keras loss is given under a tape, or after an evaluation."""

        def call(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            here = self._here
            evaluated = here.evaluated.losses if here.evaluated is not None else None
            losses = here.losses if here.tapes else evaluated
            known = have_values(y_true) and have_values(y_pred) and not type(loss).__name__.startswith("Compile")
            if known and losses is not None:
                losses.append(_loss_call(loss, y_true, y_pred, sample_weight))
            return original(loss, y_true, y_pred, sample_weight)

        return call

    def metric_update(self, original: Any) -> Any:
        """Around ``MeanMetricWrapper.update_state``, which Keras's accuracies share."""

        def update(metric: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            # Under a strategy, fit builds its metrics on symbols first.
            if not tf.executing_eagerly() or not have_values(y_true):
                return original(metric, y_true, y_pred, sample_weight)
            sizes = tuple(np.shape(y_true)), tuple(np.shape(y_pred))
            use = self.trace.metrics.setdefault(metric.name, MetricUse(type(metric).__name__, *sizes))
            before = float(float64(metric.count))
            result = original(metric, y_true, y_pred, sample_weight)
            use.weighted = use.weighted or sample_weight is not None
            use.counted.append(float(float64(metric.count)) - before)
            use.samples.append(_weight_of(sizes[1][0] if sizes[1] else 1, sample_weight))
            return result

        return update

    def mean_update(self, original: Any) -> Any:
        """Around ``Mean.update_state``: the values that an epoch's figure is made of."""

        def update(metric: Any, values: Any, sample_weight: Any = None) -> Any:
            if not tf.executing_eagerly() or not hasattr(metric, "total") or not hasattr(metric, "count"):
                return original(metric, values, sample_weight)
            before = float(float64(metric.total)), float(float64(metric.count))
            result = original(metric, values, sample_weight)
            total, count = float(float64(metric.total)) - before[0], float(float64(metric.count)) - before[1]
            use = self._means.setdefault(id(metric), MeanUse(metric.name))
            use.values.append(total / count if count else 0.0)
            use.weights.append(count)
            use.steps_before = len(self._steps.groups)
            return result

        return update

    def mean_reset(self, original: Any) -> Any:
        """Around ``Mean.reset_state``."""

        def reset(metric: Any) -> Any:
            use = self._means.pop(id(metric), None)
            if use is not None and use.values:
                # A figure that is read before the reset belongs to these values.
                self.trace.means.append(use)
            return original(metric)

        return reset

    def metric_made(self, original: Any) -> Any:
        """Around ``Metric.__init__``: results and configurations are read at the end."""

        def make(metric: Any, *args: Any, **kwargs: Any) -> None:
            original(metric, *args, **kwargs)
            self._metrics.append(metric)

        return make

    # Saving and loading.

    def loading(self, what: str) -> Any:
        """Around a function that restores weights; what it returns may be the model that a loop goes on with."""

        def make(original: Any) -> Any:
            def load(*args: Any, **kwargs: Any) -> Any:
                if replica() == OUTSIDE:
                    self._settle()
                result = original(*args, **kwargs)
                self._open.loads.append(what)
                if isinstance(result, keras.Model) and shapes(parameters(result)) == self._shapes:
                    self._adopt(result)
                return result

            return load

        return make

    def wrappers(self) -> list[tuple[Any, str, Any]]:
        """What is wrapped: owner, name, wrapper."""
        from keras.src.legacy.saving import legacy_h5_format  # noqa: PLC0415  no public module holds these functions
        from keras.src.saving import saving_lib  # noqa: PLC0415

        optimizer, scaling = keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer
        return [
            (keras.layers.Layer, "__call__", self.layer_call),
            (tf.GradientTape, "__enter__", self.tape_enter),
            (tf.GradientTape, "__exit__", self.tape_exit),
            (tf.GradientTape, "gradient", self.tape_gradient),
            (optimizer, "apply", self.optimizer_apply),
            (optimizer, "scale_loss", self.scale_loss),
            (scaling, "apply", self.scaling_apply),
            (scaling, "scale_loss", self.scale_loss),
            (keras.losses.Loss, "__call__", self.loss_call),
            (keras.metrics.Metric, "__init__", self.metric_made),
            (keras.metrics.MeanMetricWrapper, "update_state", self.metric_update),
            (keras.metrics.Mean, "update_state", self.mean_update),
            (keras.metrics.Mean, "reset_state", self.mean_reset),
            (saving_lib, "load_model", self.loading("load_model")),
            (saving_lib, "load_weights_only", self.loading("load_weights")),
            (legacy_h5_format, "load_model_from_hdf5", self.loading("load_model")),
            (legacy_h5_format, "load_weights_from_hdf5_group", self.loading("load_weights")),
            (tf.train.Checkpoint, "restore", self.loading("Checkpoint.restore")),
            (tf.train.Checkpoint, "read", self.loading("Checkpoint.read")),
        ]


@contextmanager
def _silent_calls(here: _Replica) -> Iterator[None]:
    """Calls within a gradient, of functions that recompute, are no calls of the loop."""
    here.calls += 1
    try:
        yield
    finally:
        here.calls -= 1


def _same(first: Arrays, second: Arrays) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)
    )


def _rate(optimizer: Any) -> float | None:
    try:
        return float(float64(optimizer.learning_rate))
    except Exception:  # noqa: BLE001  a user's optimizer may have no rate
        return None


def _accumulates(optimizer: Any) -> bool:
    return bool(getattr(optimizer, "gradient_accumulation_steps", None))


def _is_differentiable(leaf: Any) -> bool:
    return tf.is_tensor(leaf) and leaf.dtype.is_floating


def _output_gradients(pairs: Sequence[tuple[Any, Any]], found: Sequence[Any], scale: float) -> list[OutputGradient]:
    """Of every output: its gradient or, where Keras goes by its logits, theirs."""
    rest, made = list(found), []
    for output, logits in pairs:
        of_output = rest.pop(0)
        of_logits = rest.pop(0) if logits is not None else None
        if of_output is None and logits is not None:
            gradient, values = of_logits, logits
        else:
            gradient, values = of_output, output
        known = np.zeros(values.shape) if gradient is None else float64(tf.convert_to_tensor(gradient)) / scale
        made.append(OutputGradient(float64(values), known, values is logits))
    if not any(one.gradient.any() for one in made):
        return []
    return made


def _result(metric: Any) -> MetricResult | None:
    try:
        value = float(np.mean(keras.ops.convert_to_numpy(metric.result())))
        return MetricResult(metric.name, type(metric).__name__, dict(metric.get_config()), value)
    except Exception:  # noqa: BLE001  a user's metric may have no scalar result or no configuration
        return None


def _config(layer: Any) -> dict[str, Any]:
    try:
        return dict(layer.get_config())
    except Exception:  # noqa: BLE001  a user's layer may have none
        return {}


def _weight_of(samples: int, weights: Any) -> float:
    """Of all samples together."""
    if weights is None:
        return float(samples)
    values = float64(weights)
    return float(values.sum()) if values.ndim else samples * float(values)


def _loss_call(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> LossCall:
    labels, weights = leaves(y_true), leaves(sample_weight)
    name = getattr(getattr(loss, "fn", None), "__name__", None) or type(loss).__name__
    options = dict(getattr(loss, "_fn_kwargs", {}) or {})
    return LossCall(
        name=name,
        options={**options, "reduction": loss.reduction},
        labels=float64(labels[0]) if len(labels) == 1 and _is_number(labels[0]) else None,
        weights=float64(weights[0]) if len(weights) == 1 else None,
        has_mask=any(getattr(leaf, "_keras_mask", None) is not None for leaf in leaves(y_pred)),
    )


def _takes_flag(layer: Any) -> bool:
    return "training" in inspect.signature(layer.call).parameters


def _training_flag(layer: Any, args: Any, kwargs: Any) -> bool:
    """As Keras resolves it for an outermost call: the argument, or the signature's default, or False."""
    signature = inspect.signature(layer.call)
    if "training" not in signature.parameters:
        return bool(kwargs.get("training"))
    given = signature.bind_partial(*args, **kwargs).arguments.get("training")
    default = signature.parameters["training"].default
    return bool(default if given is None and default is not inspect.Parameter.empty else given)


@contextmanager
def recording(
    model: keras.Model,
    *,
    force_training: bool,
    known: frozenset[bytes] = frozenset(),
    forced_inputs: Sequence[Any] = (),
    part_calls: Sequence[int] = (),
) -> Iterator[Recorder]:
    """Records the training of ``model`` within the block, in which everything runs eagerly."""
    recorder = Recorder(
        model, force_training=force_training, known=known, forced_inputs=forced_inputs, part_calls=part_calls
    )
    with ExitStack() as stack:
        stack.enter_context(eagerly())
        for owner, name, make in recorder.wrappers():
            stack.enter_context(replaced(owner, name, make))
        stack.enter_context(recorder.rng.installed())
        stack.enter_context(long_layers_as_graphs())
        yield recorder
