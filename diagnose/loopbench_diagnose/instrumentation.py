"""Watches a training from outside: what the model, the tape, the optimizer and the metrics are called with.

Keras's and TensorFlow's own classes are wrapped for as long as the training lasts, so that a loop needs no change to be
watched. Everything runs eagerly meanwhile; otherwise only the first call, the trace, would be seen.
"""

import inspect
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import have_values, leaves
from loopbench_diagnose.execution import eagerly
from loopbench_diagnose.patching import replaced
from loopbench_diagnose.per_sample_rng import PerSampleRng
from loopbench_diagnose.replicas import Shares, replica
from loopbench_diagnose.trace import Arrays, Call, MetricUse, NonFinite, Step, Trace, whole_call, whole_step

# Weights and gradients are kept for so many steps: enough to see where two trainings part.
STEPS_KEPT = 4
# How the place of a gradient begins.
GRADIENT = "the gradient of"


def float64(tensor: Any) -> Any:
    """The values of a tensor or a variable, as float64."""
    # A variable by way of its tensor: NumPy deprecates how variables turn themselves into arrays.
    return np.asarray(tf.convert_to_tensor(tensor), np.float64)


def _is_finite(value: Any) -> bool:
    tensor = tf.convert_to_tensor(value)
    return not tensor.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(tensor)))


def snapshot(variables: Any) -> Arrays:
    """The present values."""
    return [float64(variable) for variable in variables]


def row_keys(inputs: Any) -> list[bytes]:
    """A key for every sample: the bytes of its values as float32, over all inputs."""
    arrays = [np.asarray(keras.ops.convert_to_numpy(leaf)).astype(np.float32) for leaf in leaves(inputs)]
    return [b"".join(array[index].tobytes() for array in arrays) for index in range(len(arrays[0]))]


@dataclass
class _Replica:
    """Where a replica is: tapes and calls that are open, and what belongs to its next step. ``step`` is its last."""

    tapes: int = 0
    calls: int = 0
    pending: Call | None = None
    tape: Any = None
    before: tuple[Arrays, Arrays] | None = None
    loss_scale: float = 1.0
    step: Step | None = None


class Recorder:
    """Writes what it is told by the wrappers into ``trace``."""

    def __init__(self, model: keras.Model, *, force_training: bool) -> None:
        self.trace = Trace()
        self._noisy = threading.Event()
        self.rng = PerSampleRng(self._noisy)
        self._model = model
        self._force_training = force_training
        self._places = {
            id(key): place for place, v in enumerate(model.trainable_variables) for key in (v, getattr(v, "value", v))
        }
        self._replicas: dict[int, _Replica] = defaultdict(_Replica)
        self._steps: Shares[Step] = Shares()
        self._evaluations: Shares[Call] = Shares()

    def finish(self, reported: dict[str, float]) -> Trace:
        """The trace, complete."""
        self.trace.steps = [whole_step(shares) for shares in self._steps.groups]
        self.trace.evaluations = [whole_call(shares) for shares in self._evaluations.groups]
        self.trace.replicas = max((len(shares) for shares in self._steps.groups), default=1)
        self.trace.reported, self.trace.model = reported, self._model
        self.trace.noisy = self._noisy.is_set()
        self.trace.weights, self.trace.state = self._weights(), self._state()
        self._look_at_weights(len(self._steps.groups))
        return self.trace

    @property
    def _here(self) -> _Replica:
        return self._replicas[replica()]

    def _weights(self) -> Arrays:
        return snapshot(self._model.trainable_variables)

    def _state(self) -> Arrays:
        return snapshot(self._model.non_trainable_weights)

    def _is_ours(self, layer: Any) -> bool:
        return isinstance(layer, keras.Model) and any(id(v) in self._places for v in layer.trainable_variables)

    def layer_call(self, original: Any) -> Any:
        """Around ``Layer.__call__``: the outermost call of the model, or of one around its layers."""

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            here = self._here
            if here.calls or not self._is_ours(layer) or not args or not have_values(args[0]):
                return original(layer, *args, **kwargs)
            if here.tapes and self._force_training and "training" in inspect.signature(layer.call).parameters:
                kwargs["training"] = True
            self._remember_weights()
            rows = row_keys(args[0])
            self.rng.begin(rows)
            here.calls += 1
            try:
                outputs = original(layer, *args, **kwargs)
            finally:
                here.calls -= 1
            self._record_call(layer, args, kwargs, outputs, rows)
            return outputs

        return call

    def _remember_weights(self) -> None:
        if self._here.tapes:
            self._look_at_weights(self._steps.place(replica()))
        if self._here.tapes and self._keeps():
            self._here.before = (self._weights(), self._state())

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
        return self._steps.place(replica()) < STEPS_KEPT

    def _record_call(self, layer: Any, args: Any, kwargs: Any, outputs: Any, rows: list[bytes]) -> None:
        call = Call(
            rows=rows,
            inputs=keras.tree.map_structure(keras.ops.convert_to_numpy, args[0]),
            outputs=keras.tree.map_structure(float64, outputs),
            training=_training_flag(layer, args, kwargs),
            taped=self._here.tapes > 0,
            steps_before=len(self._steps.groups),
        )
        if call.taped:
            self._here.pending = call
        else:
            self._evaluations.add(call, replica())

    def tape_enter(self, original: Any) -> Any:
        """Around ``GradientTape.__enter__``."""

        def enter(tape: Any) -> Any:
            self._here.tapes += 1
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
            gradients = original(tape, target, sources, *args, **kwargs)
            found = self._in_order(leaves(gradients), leaves(sources), keras.tree.flatten(gradients))
            if self._here.pending is not None and found is not None:
                loss = sum(float(float64(leaf).sum()) for leaf in leaves(target))
                self._begin_step(loss, found)
                self._here.tape = tape
            elif found is not None and tape is self._here.tape:
                self._complete_step(found)
            return gradients

        return gradient

    def _in_order(self, gradients: list[Any], sources: list[Any], with_gaps: list[Any]) -> Arrays | None:
        """Gradients by the place of their variable, zeros where there is none; None where no variable is ours."""
        values = with_gaps if len(with_gaps) == len(sources) else gradients
        placed = {self._places[id(s)]: g for s, g in zip(sources, values, strict=True) if id(s) in self._places}
        if not placed:
            return None
        dense = {place: float64(tf.convert_to_tensor(g)) for place, g in placed.items() if g is not None}
        shapes = [tuple(variable.shape) for variable in self._model.trainable_variables]
        return [dense.get(place, np.zeros(shape)) for place, shape in enumerate(shapes)]

    def _begin_step(self, loss: float, gradients: Arrays) -> None:
        here = self._here
        assert here.pending is not None
        scale = here.loss_scale
        step = Step(call=here.pending, loss=loss / scale, loss_scale=scale)
        names = (f"{GRADIENT} {variable.path}" for variable in self._model.trainable_variables)
        self._look(self._steps.place(replica()) + 1, {"the loss": loss, **dict(zip(names, gradients, strict=True))})
        if self._keeps():
            step.gradients = [gradient / scale for gradient in gradients]
            assert here.before is not None
            step.weights, step.state = here.before
        self._steps.add(step, replica())
        here.step, here.pending, here.loss_scale = step, None, 1.0

    def _complete_step(self, gradients: Arrays) -> None:
        """More gradients from the same tape: of other variables, where every part of a model has its own optimizer."""
        step = self._here.step
        if step is not None and step.gradients is not None:
            step.gradients = [
                known if known.any() else new / step.loss_scale
                for known, new in zip(step.gradients, gradients, strict=True)
            ]

    def optimizer_apply(self, original: Any) -> Any:
        """Around ``Optimizer.apply``; a loss scale optimizer calls its inner optimizer's with what is applied."""

        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            variables = optimizer._trainable_variables if trainable_variables is None else trainable_variables  # noqa: SLF001
            grads, variables = list(grads), list(variables)
            if all(known is not optimizer for known in self.trace.optimizers):
                self.trace.optimizers.append(optimizer)
            applied = self._in_order(grads, variables, grads)
            step = self._here.step
            if step is not None and applied is not None:
                step.updated = True
                step.applied = applied if step.gradients is not None else None
            return original(optimizer, grads, variables)

        return apply

    def scale_loss(self, original: Any) -> Any:
        """Around ``Optimizer.scale_loss``."""

        def scaled(optimizer: Any, loss: Any) -> Any:
            result = original(optimizer, loss)
            before, after = float(float64(loss).sum()), float(float64(result).sum())
            self._here.loss_scale = after / before if before and np.isfinite(after / before) else 1.0
            return result

        return scaled

    def metric_update(self, original: Any) -> Any:
        """Around ``MeanMetricWrapper.update_state``, which Keras's accuracies share."""

        def update(metric: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            # Under a strategy, fit builds its metrics on symbols first.
            if not tf.executing_eagerly():
                return original(metric, y_true, y_pred, sample_weight)
            shapes = tuple(np.shape(y_true)), tuple(np.shape(y_pred))
            use = self.trace.metrics.setdefault(metric.name, MetricUse(type(metric).__name__, *shapes))
            before = float(float64(metric.count))
            result = original(metric, y_true, y_pred, sample_weight)
            if sample_weight is None:
                use.counted.append(round(float(float64(metric.count)) - before))
                use.samples.append(shapes[1][0] if shapes[1] else 1)
            return result

        return update

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

    def wrappers(self) -> list[tuple[Any, str, Any]]:
        """What is wrapped: owner, name, wrapper."""
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
            (keras.metrics.MeanMetricWrapper, "update_state", self.metric_update),
        ]


def _training_flag(layer: Any, args: Any, kwargs: Any) -> bool:
    """As Keras resolves it for an outermost call: the argument, or the signature's default, or False."""
    signature = inspect.signature(layer.call)
    if "training" not in signature.parameters:
        return bool(kwargs.get("training"))
    given = signature.bind_partial(*args, **kwargs).arguments.get("training")
    default = signature.parameters["training"].default
    return bool(default if given is None and default is not inspect.Parameter.empty else given)


@contextmanager
def recording(model: keras.Model, *, force_training: bool) -> Iterator[Recorder]:
    """Watches ``model`` within the block, in which everything runs eagerly."""
    watch = Recorder(model, force_training=force_training)
    with ExitStack() as stack:
        stack.enter_context(eagerly())
        for owner, name, make in watch.wrappers():
            stack.enter_context(replaced(owner, name, make))
        stack.enter_context(watch.rng.installed())
        yield watch
