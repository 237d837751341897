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

from loopbench_diagnose.data import Data, leaves
from loopbench_diagnose.execution import executing
from loopbench_diagnose.instrumentation import float64, recording, snapshot
from loopbench_diagnose.interventions import Intervention, are_probabilities
from loopbench_diagnose.side import Factory, Side
from loopbench_diagnose.trace import Arrays, Trace

SAMPLES_OF_A_TRIAL = 32
# Times a weight; small enough for float16.
LARGE = 30


class NoUpdateError(ValueError):
    """A loop called the model in no ``tf.GradientTape``, so that there is nothing to compare."""


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
    told = getattr(reported, "history", reported)
    if not isinstance(told, Mapping):
        return {}
    last = {name: value[-1] if isinstance(value, Sequence) and value else value for name, value in told.items()}
    return {
        name: float(np.mean(keras.ops.convert_to_numpy(value))) for name, value in last.items() if _is_number(value)
    }


def _is_number(value: Any) -> bool:
    return value is not None and not isinstance(value, str | Sequence | Mapping)


def _tensors(arrays: Any) -> Any:
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


class Harness:
    """Gives every training the same start.

    Initial weights, the state of random layers and the global seeds are those of one model, made at the beginning.
    """

    def __init__(self, build_model: Factory, data: Data, seed: int) -> None:
        self._build_model = build_model
        self._seed = seed
        self._sample = data.rows(slice(1)).x
        self._trial = data.rows(slice(SAMPLES_OF_A_TRIAL)).x
        model = self._made(build_model)
        self._initial = [np.asarray(tf.convert_to_tensor(variable)) for variable in model.variables]
        self.names = [variable.path for variable in model.trainable_variables]
        self.prototype = model
        self.initial_weights = snapshot(model.trainable_variables)
        self.compute_dtypes = {layer.compute_dtype for layer in (model, *model._flatten_layers())}  # noqa: SLF001

    def _made(self, build_model: Factory) -> keras.Model:
        keras.utils.set_random_seed(self._seed)
        model = build_model()
        if not isinstance(model, keras.Model):
            raise StructureError(f"the model factory returned {type(model).__name__}, and no keras.Model")
        # A model that was never called may have no variables yet; they belong to its strategy as well.
        with model.distribute_strategy.scope():
            model(_tensors(self._sample), training=False)
        return model

    def model(self, side: Side | None = None) -> keras.Model:
        """A new model in the initial state, as ``side`` builds it where it does so in a way of its own.

        Raises:
            StructureError: its variables are not those of the first one.
        """
        model = self._made((side and side.build_model) or self._build_model)
        shapes = [tuple(variable.shape) for variable in model.variables]
        if shapes != [value.shape for value in self._initial]:
            raise StructureError("the model factory built two models with different variables")
        for variable, value in zip(model.variables, self._initial, strict=True):
            variable.assign(value)
        return model

    def watch(
        self, side: Side, data: Data, epochs: int, interventions: Sequence[Intervention] = (), *, seeded: bool = True
    ) -> Trace:
        """The trace of ``side`` under ``interventions``, run eagerly.

        With TensorFlow's global seed set, Keras's ``fit`` shuffles arrays into the same order in every epoch; an
        experiment on orders is therefore not ``seeded``.
        """
        for intervention in interventions:
            data = intervention.data(data)
        force = any(intervention.force_training for intervention in interventions)
        with ExitStack() as stack:
            contexts: list[AbstractContextManager[None]] = [one.patches() for one in interventions]
            for context in contexts:
                stack.enter_context(context)
            # Within the patches: a model belongs to the strategy that it is built under.
            model = self.model(side)
            keras.utils.set_random_seed(self._seed)
            if not seeded:
                tf.random.set_seed(None)
            watch = stack.enter_context(recording(model, force_training=force))
            reported = side.train(model, data.copied(), epochs)
            watch.trace.drawn = _drawn()
            return watch.finish(figures(reported))

    def run(self, side: Side, data: Data, epochs: int, *, eagerly: bool = False, reseed: bool = False) -> Execution:
        """What ``side`` comes to in its own way of execution, or eagerly; random layers draw nothing.

        ``reseed`` starts the global random generators from another seed.
        """
        model = self.model(side)
        keras.utils.set_random_seed(self._seed + reseed)
        with executing(by_python=eagerly) as compiled:
            side.train(model, data.copied(), epochs)
        return Execution(
            snapshot(model.trainable_variables), in_graph=bool(compiled), by_xla=any(compiled), drawn=_drawn()
        )

    def outputs(self, trace: Trace, data: Data) -> Any:
        """The outputs, float64, of the model that ``trace`` ended with."""
        return keras.tree.map_structure(float64, self._trained(trace)(_tensors(data.x), training=False))

    def additional_loss(self, trace: Trace, data: Data) -> float:
        """What the model that ``trace`` ended with adds to the loss by itself where it is called on ``data``."""
        model = self._trained(trace)
        model(_tensors(data.x), training=False)
        return sum(float(float64(loss).sum()) for loss in model.losses)

    def additional_gradient(self, data: Data) -> Arrays:
        """The gradient of what an untrained model adds to the loss by itself where it is called on ``data``."""
        model = self.model()
        with tf.GradientTape() as tape:
            model(_tensors(data.x), training=True)
            loss = sum(model.losses)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        return [
            np.zeros(tuple(variable.shape)) if gradient is None else float64(gradient)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    def _trained(self, trace: Trace) -> keras.Model:
        model = self.model()
        for variables, values in (
            (model.trainable_variables, trace.weights),
            (model.non_trainable_weights, trace.state),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return model

    @cached_property
    def gives_probabilities(self) -> bool:
        """Whether an output of the model lies from 0 to 1 by its making, and not by chance.

        Behind a softmax or a sigmoid it still does with weights of another size.
        """
        model = self.model()
        for variable in model.trainable_variables:
            variable.assign(LARGE * variable)
        return any(are_probabilities(leaf) for leaf in leaves(model(_tensors(self._trial), training=False)))

    def depends_on_training(self, data: Data) -> bool:
        """Whether the model gives other outputs while it trains."""
        inputs = _tensors(data.rows(slice(min(len(data), SAMPLES_OF_A_TRIAL))).x)
        training, inference = (
            keras.tree.flatten(keras.tree.map_structure(float64, self.model()(inputs, training=flag)))
            for flag in (True, False)
        )
        return any(not np.allclose(one, other) for one, other in zip(training, inference, strict=True))
