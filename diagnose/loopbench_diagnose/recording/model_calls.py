"""Records calls of the model, of its parts, and of models around its layers."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import have_values, leaves, map_arrays, sample_keys
from loopbench_diagnose.parts import Chain
from loopbench_diagnose.patching import Wrapper
from loopbench_diagnose.recording.course import Course, Replica
from loopbench_diagnose.recording.values import float64, is_number, numbers, total
from loopbench_diagnose.trace import Call, LayerOutput
from loopbench_diagnose.variables import parameters, shapes

# Layers' outputs are kept for the first calls alone.
CALLS_WITH_LAYERS = 1


class ModelCalls:
    """Wraps the calls of layers for ``course``; ``known`` are the keys of the samples of the data.

    ``forced_inputs`` are the inputs of the model's calls under a tape, one a call, that replace its outputs.
    """

    def __init__(
        self, course: Course, *, force_training: bool, known: frozenset[bytes], forced_inputs: Sequence[Any]
    ) -> None:
        self._course = course
        self._force_training = force_training
        self._known = known
        self._forced = list(forced_inputs)
        self._taped_calls = 0
        # Whether a call was made on samples as the data holds them.
        self._met_known = False
        # Samples of the first call under a tape.
        self.first_batch = 0

    @property
    def wrappers(self) -> list[Wrapper]:
        """What is wrapped."""
        return [(keras.layers.Layer, "__call__", self._layer_call)]

    def _layer_call(self, original: Any) -> Any:
        """Around ``Layer.__call__``: the outermost call of the model, or of one around its layers."""

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if self._course.here.calls:
                return self._inner_call(original, layer, args, kwargs)
            if not args or not have_values(args[0]):
                return original(layer, *args, **kwargs)
            if id(layer) in self._course.calls_of_parts:
                return self._lone_call(original, layer, args, kwargs)
            if not isinstance(layer, keras.Model):
                return original(layer, *args, **kwargs)
            if not self._course.has_any(layer.variables):
                return self._stranger_call(original, layer, args, kwargs)
            return self._outer_call(original, layer, args, kwargs)

        return call

    def _outer_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        here = self._course.here
        self._course.end_chain()
        kwargs = self._with_forced_flag(layer, kwargs)
        args = self._with_forced_inputs(args)
        rows = sample_keys(args[0])
        self._begin_call(rows, keeps_layers=here.pending is None or here.pending.lone)
        with silent_calls(here):
            outputs = original(layer, *args, **kwargs)
        self._record_call(layer, args, kwargs, outputs, rows)
        return outputs

    def _inner_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        outputs = original(layer, *args, **kwargs)
        kept = self._course.here.layers
        if kept is not None and not isinstance(layer, keras.Model) and have_values(outputs):
            values = [float64(leaf) for leaf in leaves(outputs) if is_number(leaf)]
            kept.append(LayerOutput(layer.name, type(layer).__name__, _config(layer), values))
        return outputs

    def _stranger_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """A model with other variables of the same shapes may be the one that a loop goes on with."""
        outputs = original(layer, *args, **kwargs)
        here = self._course.here
        if here.tapes and shapes(parameters(layer)) == self._course.shapes:
            call = self._call_of(layer, args, kwargs, outputs, sample_keys(args[0]))
            here.stranger = layer, call, leaves(outputs)
        return outputs

    # Parts that a loop calls one after the other.

    def _lone_call(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """A part that a loop calls by itself: one after the other they stand for a call of the model."""
        here = self._course.here
        kwargs = self._with_forced_flag(layer, kwargs)
        rows = sample_keys(args[0]) if np.ndim(leaves(args[0])[0]) else []
        starts = here.chain is None or (bool(rows) and self._known.issuperset(rows))
        if not self._stands_for_model(layer, starts=starts):
            return self._call_apart(original, layer, args, kwargs, rows)
        if starts:
            self._course.end_chain()
            args = self._with_forced_inputs(args)
            self._begin_call(rows)
        with silent_calls(here):
            outputs = self._inner_call(original, layer, args, kwargs)
        if have_values(outputs):
            self._add_to_chain(layer, replace(self._call_of(layer, args, kwargs, outputs, rows), lone=True))
        return outputs

    def _stands_for_model(self, part: Any, *, starts: bool) -> bool:
        """Whether a call of a part belongs to those that stand for a call of the model."""
        here, most = self._course.here, self._course.calls_of_parts[id(part)]
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
        here = self._course.here
        if isinstance(layer, keras.Model):
            self._key_noise(rows)
        kept, here.layers = here.layers, None
        try:
            with silent_calls(here):
                return original(layer, *args, **kwargs)
        finally:
            here.layers = kept

    def _add_to_chain(self, part: Any, call: Call) -> None:
        here = self._course.here
        if here.chain is None:
            call.weights = self._course.other_weights(call)
            here.chain = Chain(call)
        here.chain.add(part, call, takes_flag=_takes_flag(part))
        if here.tapes:
            here.pending, here.outputs = here.chain.call, leaves(call.outputs)
        else:
            here.evaluated = here.chain.call

    # Before and after a call.

    def _begin_call(self, rows: list[bytes], *, keeps_layers: bool = True) -> None:
        """Before a call of the model, or of the first of its parts."""
        here = self._course.here
        self._course.before_call()
        self._key_noise(rows)
        if here.tapes and not self.first_batch:
            self.first_batch = len(rows)
        kept = here.tapes and self._course.steps_made < CALLS_WITH_LAYERS and keeps_layers
        here.layers = [] if kept else None

    def _key_noise(self, rows: list[bytes]) -> None:
        """Random layers draw for these samples; values that a model made of others go on with the last ones.

        What a generator makes differs with its weights: noise that followed it would differ as well.
        """
        known = bool(rows) and self._known.issuperset(rows)
        if known or not self._met_known:
            self._course.rng.begin(rows)
        self._met_known = self._met_known or known

    def _with_forced_flag(self, layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        forced = self._course.here.tapes and self._force_training and _takes_flag(layer)
        return {**kwargs, "training": True} if forced else kwargs

    def _with_forced_inputs(self, args: Any) -> Any:
        if not self._course.here.tapes:
            return args
        number, self._taped_calls = self._taped_calls, self._taped_calls + 1
        if number >= len(self._forced):
            return args
        own, other = leaves(args[0]), leaves(self._forced[number])
        if [np.shape(leaf) for leaf in own] != [np.shape(leaf) for leaf in other]:
            return args
        self._course.trace.replaced_inputs = True
        given = iter(
            [
                tf.cast(tf.convert_to_tensor(new), tf.convert_to_tensor(old).dtype)
                for old, new in zip(own, other, strict=True)
            ]
        )
        return (map_arrays(lambda _: next(given), args[0]), *args[1:])

    def _call_of(self, layer: Any, args: Any, kwargs: Any, outputs: Any, rows: list[bytes]) -> Call:
        here = self._course.here
        return Call(
            rows=rows,
            inputs=keras.tree.map_structure(keras.ops.convert_to_numpy, args[0]),
            outputs=numbers(outputs),
            training=_training_flag(layer, args, kwargs),
            taped=here.tapes > 0,
            steps_before=self._course.steps_made,
            layers=here.layers or [],
            penalty=sum(map(total, layer.losses), start=0.0),
        )

    def _record_call(self, layer: Any, args: Any, kwargs: Any, outputs: Any, rows: list[bytes]) -> None:
        here = self._course.here
        call = self._call_of(layer, args, kwargs, outputs, rows)
        here.layers = None
        if not call.taped:
            call.weights = self._course.other_weights(call)
            self._course.add_evaluation(call)
            here.evaluated = call
            return
        # Of several calls under a tape the one on samples of the data stands for the step: a whole one, where there is.
        known = here.pending is not None and not here.pending.lone and self._known.issuperset(here.pending.rows)
        if here.pending is None or (not known and (self._known.issuperset(rows) or not self._known)):
            here.pending, here.outputs = call, leaves(outputs)


@contextmanager
def silent_calls(here: Replica) -> Iterator[None]:
    """Calls of layers within the block are no calls of the loop."""
    here.calls += 1
    try:
        yield
    finally:
        here.calls -= 1


def _config(layer: Any) -> dict[str, Any]:
    try:
        return dict(layer.get_config())
    except Exception:  # noqa: BLE001  a user's layer may have none
        return {}


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
