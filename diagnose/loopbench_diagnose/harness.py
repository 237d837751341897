"""Runs a side's loop on a fresh model with the shared initial weights, watched or as it is."""

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench.text import one_line
from loopbench_diagnose.common_order import common_order
from loopbench_diagnose.data import Data, leaves, map_arrays, sample_keys
from loopbench_diagnose.execution import executing
from loopbench_diagnose.interventions import Intervention, are_probabilities
from loopbench_diagnose.parts import counting_calls, parts_of
from loopbench_diagnose.recording import Enough, recording
from loopbench_diagnose.recording.values import float64, numbers, same, snapshot, total
from loopbench_diagnose.side import Factory, Side
from loopbench_diagnose.trace import Arrays, Trace
from loopbench_diagnose.user_state import is_deterministic
from loopbench_diagnose.variables import everything, parameters, shapes, state

SAMPLES_OF_A_TRIAL = 32
TRAINS_ANOTHER = "the model of an earlier run was trained"
# Times a weight; small enough for float16.
LARGE = 30


class NoUpdateError(ValueError):
    """A loop called the model in no ``tf.GradientTape``, so that there is nothing to compare."""


class ReusedObjectError(ValueError):
    """A loop uses an optimizer or a tf.function of an earlier training; every training needs its own."""


class StructureError(ValueError):
    """The model factory does not build the same model every time."""


@dataclass(frozen=True)
class Execution:
    """The weights that a loop ended with, whether it called a ``tf.function``, and whether XLA compiled one of them.

    ``drawn`` is the state in which it left Python's and NumPy's global random generators.
    """

    weights: Arrays
    in_graph: bool
    by_xla: bool
    drawn: str


def _drawn() -> str:
    return str((random.getstate(), np.random.get_state()))  # noqa: NPY002  what loops draw from


def figures(reported: Any) -> dict[str, float]:
    """The last epoch's figures of what a loop returned: a History, a mapping of numbers or of lists, or None."""
    stated = getattr(reported, "history", reported)
    if not isinstance(stated, Mapping):
        return {}
    last = {name: value[-1] if isinstance(value, Sequence) and value else value for name, value in stated.items()}
    return {
        name: float(np.mean(keras.ops.convert_to_numpy(value))) for name, value in last.items() if _is_number(value)
    }


def _is_number(value: Any) -> bool:
    return value is not None and not isinstance(value, str | Sequence | Mapping)


def _tensor(leaf: Any) -> Any:
    is_text = np.asarray(leaf).dtype.kind in "OUS"
    return tf.convert_to_tensor(leaf) if is_text else keras.ops.convert_to_tensor(leaf)


def _tensors(arrays: Any) -> Any:
    return keras.tree.map_structure(_tensor, arrays)


def _fed(model: keras.Model, arrays: Any) -> Any:
    """Tensors in the shapes that the model takes: a loop may reshape samples before it feeds them."""
    wanted = [tuple(one.shape)[1:] for one in keras.tree.flatten(getattr(model, "inputs", None) or [])]
    given = leaves(arrays)
    if len(wanted) == len(given):
        made = iter([_reshaped(leaf, shape) for leaf, shape in zip(given, wanted, strict=True)])
        arrays = map_arrays(lambda _: next(made), arrays)
    return _tensors(arrays)


def _reshaped(leaf: Any, shape: tuple[int | None, ...]) -> Any:
    """With samples of ``shape``, if they hold as many values."""
    own = np.shape(leaf)[1:]
    sizes = [size for size in shape if size is not None]
    fits = own != shape and len(sizes) == len(shape) and np.prod(own, dtype=int) == np.prod(sizes, dtype=int)
    return np.reshape(leaf, (len(leaf), *sizes)) if fits else leaf


def fixed_batch(model: keras.Model) -> int | None:
    """Samples that the model demands in every batch; None where it takes any number."""
    inputs = getattr(model, "inputs", None) or []
    sizes = {leaf.shape[0] for leaf in keras.tree.flatten(inputs) if getattr(leaf, "shape", None)} - {None}
    return int(min(sizes)) if sizes else None


def snapshot_all(model: keras.Model) -> list[Any]:
    """Every variable's value in its own type: weights, and seeds of random layers."""
    return [np.asarray(tf.convert_to_tensor(variable)) for variable in everything(model)]


def _assign(model: keras.Model, initial: Sequence[Any], *, own: bool) -> None:
    """Gives ``model`` the initial values; one of a side's own factory may have other seeds and states."""
    variables = everything(model)
    if shapes(variables) == [value.shape for value in initial]:
        pairs = zip(variables, initial, strict=True)
    elif own:
        trained = parameters(model)
        values = [value for value in initial if np.issubdtype(value.dtype, np.floating)]
        kept = [
            value
            for value, variable in zip(values, [v for v in variables if _floats(v)], strict=False)
            if variable is not None
        ]
        if shapes([v for v in variables if _floats(v)]) != [value.shape for value in kept]:
            raise StructureError(_other_variables(trained))
        pairs = zip([v for v in variables if _floats(v)], kept, strict=True)
    else:
        raise StructureError("the model factory built two models with different variables")
    for variable, value in pairs:
        variable.assign(value)


def _floats(variable: Any) -> bool:
    return str(variable.dtype).startswith(("float", "bfloat"))


def _other_variables(trained: Sequence[Any]) -> str:
    stated = ", ".join(f"{variable.path} {tuple(variable.shape)}" for variable in trained)
    return f"the sides' model factories build models with different variables; one of them has {stated}"


def _taken(arrays: Any, rows: slice) -> Any:
    return keras.tree.map_structure(lambda leaf: leaf[rows], arrays)


class Harness:
    """Gives every training the same start.

    Initial weights, the state of random layers and the global seeds are those of one model, made at the beginning.
    """

    def __init__(self, build_model: Factory, data: Data, seed: int) -> None:
        self._build_model = build_model
        self._seed = seed
        self._data = data
        self._policy = keras.config.dtype_policy()
        # The model of the last run in a side's own way of execution.
        self._former: keras.Model | None = None
        # Samples of the first batch of the last training, which may have failed.
        self.first_batch = 0
        model = self.made()
        self._trial = data.rows(slice(self.fixed_batch or SAMPLES_OF_A_TRIAL)).x
        self._initial = snapshot_all(model)
        self.names = [variable.path for variable in parameters(model)]
        self.state_names = [variable.path for variable in state(model)]
        self.prototype = model
        # In the first call of a model its parts may be called for their shapes as well.
        with counting_calls() as counts:
            self._call(model)
        self._part_calls = [counts[id(part)] for part in parts_of(model)]
        self.initial_weights = snapshot(parameters(model))
        self.compute_dtypes = {layer.compute_dtype for layer in (model, *model._flatten_layers())}  # noqa: SLF001

    def made(self, build_model: Factory | None = None, seed: int | None = None) -> keras.Model:
        """A new model with weights of its factory's making."""
        keras.utils.set_random_seed(self._seed if seed is None else seed)
        # A loop may have set another one.
        keras.config.set_dtype_policy(self._policy)
        model = (build_model or self._build_model)()
        if not isinstance(model, keras.Model):
            raise StructureError(f"the model factory returned {type(model).__name__}, and no keras.Model")
        if type(model).call is keras.Model.call:
            raise StructureError(
                f"the model {type(model).__name__} has no method call; give it one that returns the outputs of the "
                f"loss, because the diagnosis compares them"
            )
        self.fixed_batch = fixed_batch(model)
        try:
            self._call(model)
        except Exception as error:
            raise StructureError(
                f"the model cannot be called on samples of the data: {one_line(str(error))}; pass the data in the form "
                f"in which the loop feeds it"
            ) from error
        return model

    def _call(self, model: keras.Model) -> None:
        """Calls a model on a few samples; one that was never called may have no variables yet."""
        before = snapshot_all(model)
        # The variables belong to the strategy of the model as well.
        with model.distribute_strategy.scope():
            model(_fed(model, self._data.rows(slice(self.fixed_batch or 1)).x), training=False)
        # A call moves the state of a stateful layer.
        for variable, value in zip(everything(model), before, strict=False):
            if tuple(variable.shape) == value.shape:
                variable.assign(value)

    def model(self, side: Side | None = None) -> keras.Model:
        """A new model in the initial state, as ``side`` builds it where it has its own factory.

        Raises:
            StructureError: its variables are not those of the first one.
        """
        model = self.made(side.build_model if side else None)
        _assign(model, self._initial, own=bool(side and side.build_model))
        return model

    def watch(
        self,
        side: Side,
        data: Data,
        epochs: int,
        interventions: Sequence[Intervention] = (),
        *,
        seeded: bool = True,
        ordered: bool = False,
        forced_inputs: Sequence[Any] = (),
        reseed: int = 0,
        updates: int | None = None,
    ) -> Trace:
        """The trace of ``side`` under ``interventions``, run eagerly.

        With TensorFlow's global seed set, Keras's ``fit`` shuffles arrays into the same order in every epoch; an
        experiment on orders is therefore not ``seeded``. Where it is ``ordered``, nothing shuffles. ``forced_inputs``
        take the place of the inputs of the model's calls under a tape. ``reseed`` starts the global random generators
        from another seed. The training ends after ``updates`` updates, if that is given.
        """
        known = frozenset(sample_keys(data.x))
        for intervention in interventions:
            data = intervention.data(data)
        force = any(intervention.force_training for intervention in interventions)
        with ExitStack() as stack:
            contexts: list[AbstractContextManager[None]] = [one.patches() for one in interventions]
            for context in contexts:
                stack.enter_context(context)
            # Within the patches: a model belongs to the strategy that it is built under.
            model = self.model(side)
            keras.utils.set_random_seed(self._seed + reseed)
            if not seeded and not is_deterministic():
                tf.random.set_seed(None)
            if ordered:
                stack.enter_context(common_order())
            recorder = stack.enter_context(
                recording(
                    model,
                    force_training=force,
                    known=known,
                    forced_inputs=forced_inputs,
                    part_calls=self._part_calls,
                )
            )
            recorder.course.trace.start_state = snapshot(state(model))
            self.first_batch, recorder.course.most_updates = 0, updates
            reported = None
            try:
                reported = side.train(model, data.copied(), epochs)
            except Enough:
                pass
            finally:
                self.first_batch = recorder.first_batch
            recorder.course.trace.drawn = _drawn()
            recorder.course.trace.epochs = epochs
            return recorder.finish(figures(reported))

    def run(
        self,
        side: Side,
        data: Data,
        epochs: int,
        *,
        eagerly: bool = False,
        by_xla: bool = True,
        reseed: bool = False,
    ) -> Execution:
        """What ``side`` comes to in its own way of execution, or eagerly, or without XLA; random layers draw nothing.

        ``reseed`` starts the global random generators from another seed.

        Raises:
            ReusedObjectError: the training changes the model of the run before.
        """
        model, former = self.model(side), self._former
        before = snapshot(parameters(former)) if former is not None else []
        keras.utils.set_random_seed(self._seed + reseed)
        with executing(by_python=eagerly, by_xla=by_xla) as compiled:
            side.train(model, data.copied(), epochs)
        after = snapshot(parameters(former)) if former is not None else []
        if not same(before, after):
            raise ReusedObjectError(TRAINS_ANOTHER)
        self._former = model
        return Execution(snapshot(parameters(model)), in_graph=bool(compiled), by_xla=any(compiled), drawn=_drawn())

    def outputs(self, trace: Trace, data: Data) -> Any:
        """The outputs, float64, of the model that ``trace`` ended with."""
        return numbers(self.predicted(self._trained(trace), data.x))

    def additional_loss(self, trace: Trace, data: Data) -> float:
        """What the model that ``trace`` ended with adds to the loss by itself where it is called on ``data``."""
        model = self._trained(trace)
        model(_fed(model, data.x), training=False)
        return sum(map(total, model.losses), start=0.0)

    def additional_gradient(self, data: Data) -> Arrays:
        """The gradient of what an untrained model adds to the loss by itself where it is called on ``data``."""
        model = self.model()
        with tf.GradientTape() as tape:
            model(_fed(model, data.x), training=True)
            loss = sum(model.losses)
        variables = parameters(model)
        gradients = tape.gradient(loss, variables)
        return [
            np.zeros(tuple(variable.shape)) if gradient is None else float64(gradient)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    def predicted(self, model: keras.Model, x: Any) -> Any:
        """Outputs for all of ``x``, in batches of the size that the model demands, where it does."""
        size = self.fixed_batch
        if size is None:
            return model(_fed(model, x), training=False)
        count = len(leaves(x)[0]) // size
        rows = [slice(place * size, (place + 1) * size) for place in range(count)]
        parts = [model(_fed(model, _taken(x, part)), training=False) for part in rows]
        return keras.tree.map_structure(lambda *found: tf.concat(found, axis=0), *parts)

    def _trained(self, trace: Trace) -> keras.Model:
        # Of the side's own making: an activation or an epsilon of the other would give other outputs.
        model = trace.model if trace.model is not None else self.model()
        for variables, values in ((parameters(model), trace.weights), (state(model), trace.state)):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return model

    @cached_property
    def gives_probabilities(self) -> bool:
        """Whether an output of the model lies from 0 to 1 by its making, and not by chance.

        Behind a softmax or a sigmoid it still does with weights of another size.
        """
        model = self.model()
        for variable in parameters(model):
            variable.assign(LARGE * variable)
        return any(are_probabilities(leaf) for leaf in leaves(model(_fed(model, self._trial), training=False)))

    def depends_on_training(self, data: Data) -> bool:
        """Whether the model gives other outputs while it trains."""
        inputs = _fed(self.prototype, data.rows(slice(self.fixed_batch or min(len(data), SAMPLES_OF_A_TRIAL))).x)
        training, inference = (
            keras.tree.flatten(keras.tree.map_structure(float64, self.model()(inputs, training=flag)))
            for flag in (True, False)
        )
        return any(not np.allclose(one, other) for one, other in zip(training, inference, strict=True))
