"""Stock training as one graph: it is traced once, and starts again from other weights, rates and orders."""

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import Data, leaves
from loopbench_diagnose.harness import fixed_batch, snapshot_all
from loopbench_diagnose.trace import Array
from loopbench_diagnose.variables import everything

# Samples of a batch where outputs are computed.
PREDICTED = 256


@dataclass(frozen=True, eq=False)
class Outcome:
    """A trial training.

    ``losses`` is float[updates], the loss of every update's batch. ``score`` is the task score on the held-out samples
    and ``training_score`` that on the training samples, both on the final weights; NaN where there is no task.
    ``weights`` are the final values of all variables of the model, and ``outputs`` its outputs for the held-out
    samples.
    """

    losses: Array
    score: float
    training_score: float
    weights: list[Any]
    outputs: Any

    @property
    def updates(self) -> int:
        """Updates that were made."""
        return len(self.losses)

    @property
    def is_finite(self) -> bool:
        """Whether no loss is NaN or infinite."""
        return bool(np.isfinite(self.losses).all())

    def mean_loss(self, first: bool = False) -> float:
        """The mean loss of the last tenth of the updates, or of the first one."""
        count = max(1, len(self.losses) // 10)
        return float(np.mean(self.losses[:count] if first else self.losses[-count:]))


def orders(samples: int, batch_size: int, updates: int, *, shuffle: bool, seed: int) -> list[Any]:
    """Places of the samples of every update: int[k] each, drawn again for every epoch, the last batch smaller."""
    generator = np.random.default_rng(seed)
    made: list[Any] = []
    while len(made) < updates:
        order = generator.permutation(samples) if shuffle else np.arange(samples)
        made += [order[start : start + batch_size] for start in range(0, samples, batch_size)]
    return made[:updates]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # Keras warns of variables without a gradient, which a check reports.
        warnings.simplefilter("ignore")
        yield


def _tensors(arrays: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else tf.convert_to_tensor(leaf), arrays)


def _taken(arrays: Any, rows: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else tf.gather(leaf, rows), arrays)


class Trainer:
    """Trains one model by its compiled loss and optimizer; ``model`` has been compiled.

    A model that overrides ``train_step`` is trained by that.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._fixed = fixed_batch(model)
        self._own_step = type(model).train_step is not keras.Model.train_step
        with _quiet():
            model.optimizer.build(model.trainable_variables)
        self._optimizer_start = [variable.numpy() for variable in map(tf.convert_to_tensor, model.optimizer.variables)]
        self._run = tf.function(self._updates, reduce_retracing=True)
        self._predict = tf.function(self._outputs, reduce_retracing=True)

    def train(
        self, data: Data, weights: Sequence[Any], batches: Sequence[Any], *, learning_rate: float | None = None
    ) -> Array:
        """Losses of the updates, float[k], from the given values of all variables on."""
        self.load(weights)
        for variable, value in zip(self.model.optimizer.variables, self._optimizer_start, strict=True):
            variable.assign(value)
        if learning_rate is not None:
            self.model.optimizer.learning_rate = learning_rate
        order = np.concatenate(batches).astype(np.int32)
        bounds = np.cumsum([0, *map(len, batches)]).astype(np.int32)
        parts = _tensors((data.x, data.y, data.sample_weight))
        with _quiet():
            losses = self._run(*parts, tf.constant(order), tf.constant(bounds))
        return np.asarray(losses, np.float64)

    def load(self, weights: Sequence[Any]) -> None:
        """Gives all variables of the model these values."""
        for variable, value in zip(everything(self.model), weights, strict=True):
            variable.assign(value)

    def _updates(self, x: Any, y: Any, weight: Any, order: Any, bounds: Any) -> Any:
        count = tf.shape(bounds)[0] - 1
        losses = tf.TensorArray(tf.float32, size=count)
        for number in tf.range(count):
            rows = order[bounds[number] : bounds[number + 1]]
            if self._fixed:
                rows = tf.ensure_shape(rows, (self._fixed,))
            x_rows, y_rows, w_rows = (_taken(part, rows) for part in (x, y, weight))
            loss = self._by_own_step(x_rows, y_rows, w_rows) if self._own_step else self._step(x_rows, y_rows, w_rows)
            losses = losses.write(number, tf.cast(loss, tf.float32))
        return losses.stack()

    def _step(self, x: Any, y: Any, weight: Any) -> Any:
        """``keras.Model.train_step`` without metrics."""
        model = self.model
        with tf.GradientTape() as tape:
            outputs = model(x, training=True) if model._call_has_training_arg else model(x)  # noqa: SLF001  as there
            loss = model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight)
            scaled = model.optimizer.scale_loss(loss)
        variables = model.trainable_weights
        model.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        return loss

    def _by_own_step(self, x: Any, y: Any, weight: Any) -> Any:
        self.model.reset_metrics()
        parts = (x, y, weight) if weight is not None else (x,) if y is None else (x, y)
        logs = self.model.train_step(parts)
        return logs["loss"] if "loss" in logs else next(iter(logs.values()))

    def outputs(self, x: Any) -> Any:
        """Outputs for all of ``x`` in inference mode, as arrays in the structure of the model's outputs."""
        size, count = self._fixed or PREDICTED, len(leaves(x)[0])
        whole = count // size * size if self._fixed else count
        parts = [
            keras.tree.map_structure(
                np.asarray,
                self._predict(_tensors(keras.tree.map_structure(lambda leaf: leaf[at : at + size], x))),  # noqa: B023
            )
            for at in range(0, whole, size)
        ]
        return keras.tree.map_structure(lambda *found: np.concatenate(found), *parts)

    def _outputs(self, x: Any) -> Any:
        takes = "training" in inspect.signature(self.model.call).parameters
        return self.model(x, training=False) if takes else self.model(x)


def initial(model: keras.Model) -> list[Any]:
    """The values of all variables of a new model."""
    return snapshot_all(model)
