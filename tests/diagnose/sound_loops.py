"""Ways of writing the same training loop, all of them right."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose import Data, compile_and_fit, steps
from loopbench_diagnose.loops import Loop

from .sound_models import Problem

MakeOptimizer = Callable[[], keras.optimizers.Optimizer]
MakeLoop = Callable[[Problem, MakeOptimizer, int], Loop]


def optimizer_for(problem: Problem, make: MakeOptimizer) -> keras.optimizers.Optimizer:
    """With a loss scale around it where the model computes in float16."""
    return keras.optimizers.LossScaleOptimizer(make()) if problem.float16 else make()


def fit(problem: Problem, make: MakeOptimizer, batch_size: int, **options: Any) -> Loop:
    """``compile`` and ``fit``."""
    return compile_and_fit(
        optimizer=make,
        batch_size=batch_size,
        metrics=["accuracy"] if problem.accuracy else None,
        **problem.compiled,
        **options,
    )


def loss_of(problem: Problem, model: keras.Model, y: Any, outputs: Any, weight: Any = None) -> Any:
    """The mean over the samples, and what the model adds by itself."""
    losses = problem.per_sample(y, outputs)
    mean = tf.reduce_mean(losses if weight is None else losses * tf.cast(weight, losses.dtype))
    return mean + tf.add_n(model.losses) if model.losses else mean


def hits(problem: Problem, y: Any, outputs: Any) -> dict[str, Any]:
    """The share of samples in their class."""
    return {"accuracy": tf.reduce_mean(tf.cast(problem.accuracy(y, outputs), tf.float32))} if problem.accuracy else {}


def step_of(problem: Problem, update: Callable[[Any, Any, Any], Any] | None = None) -> Any:
    """A training step by hand; ``update`` is called with optimizer, gradients and variables."""

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = loss_of(problem, model, y, outputs, weight)
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        if update is None:
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        else:
            update(optimizer, gradients, model.trainable_variables)
        return {"loss": loss, **hits(problem, y, outputs)}

    return step


def tape(problem: Problem, make: MakeOptimizer, batch_size: int) -> Loop:
    """A step, executed eagerly."""
    return steps(step_of(problem), optimizer=lambda: optimizer_for(problem, make), batch_size=batch_size)


def tape_graph(problem: Problem, make: MakeOptimizer, batch_size: int) -> Loop:
    """A step as a graph, with ``apply``."""
    step = tf.function(step_of(problem, lambda optimizer, gradients, variables: optimizer.apply(gradients, variables)))
    return steps(step, optimizer=lambda: optimizer_for(problem, make), batch_size=batch_size)


def _dataset(data: Data, batch_size: int, *, shuffled: bool) -> Any:
    parts = (data.x, data.y) if data.sample_weight is None else (data.x, data.y, data.sample_weight)
    dataset = tf.data.Dataset.from_tensor_slices(parts)
    return (dataset.shuffle(len(data), reshuffle_each_iteration=True) if shuffled else dataset).batch(batch_size)


def evaluated(problem: Problem, model: keras.Model, data: Data, batch_size: int) -> dict[str, float]:
    """Loss and accuracy over the whole set, as a validation's figures."""
    means: dict[str, keras.metrics.Mean] = {}
    for x, y in _dataset(data, batch_size, shuffled=False):
        outputs = model(x, training=False)
        _add(means, {"loss": loss_of(problem, model, y, outputs), **hits(problem, y, outputs)}, y)
    return {f"val_{name}": float(mean.result()) for name, mean in means.items()}


def _add(means: dict[str, keras.metrics.Mean], figures: dict[str, Any], y: Any) -> None:
    for name, value in figures.items():
        means.setdefault(name, keras.metrics.Mean()).update_state(value, sample_weight=len(keras.tree.flatten(y)[0]))


def tf_data(problem: Problem, make: MakeOptimizer, batch_size: int) -> Loop:
    """The whole loop by hand: tf.data, means over the samples, a validation of the whole set."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, step = optimizer_for(problem, make), tf.function(step_of(problem))
        optimizer.build(model.trainable_variables)
        dataset, figures = _dataset(data, batch_size, shuffled=True), {}
        for _ in range(epochs):
            means: dict[str, keras.metrics.Mean] = {}
            for x, y, *weight in dataset:
                _add(means, step(model, optimizer, x, y, weight[0] if weight else None), y)
            figures = {name: float(mean.result()) for name, mean in means.items()}
        return figures | (evaluated(problem, model, data.validation, 16) if data.validation else {})

    return train


def indexed(problem: Problem, make: MakeOptimizer, batch_size: int) -> Loop:
    """Arrays, a permutation an epoch, and ``Model.evaluate`` for the validation."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, step, generator = optimizer_for(problem, make), step_of(problem), np.random.default_rng(3)
        model.compile(metrics=["accuracy"] if problem.accuracy else None, **problem.compiled)
        reported: dict[str, list[float]] = {"loss": []}
        for _ in range(epochs):
            order, total = generator.permutation(len(data)), 0.0
            for start in range(0, len(order), batch_size):
                batch = data.rows(order[start : start + batch_size])
                x, y = (keras.tree.map_structure(tf.convert_to_tensor, arrays) for arrays in (batch.x, batch.y))
                total += float(step(model, optimizer, x, y, batch.sample_weight)["loss"]) * len(batch)
            reported["loss"].append(total / len(data))
        validation = data.validation
        if validation is None:
            return reported
        figures = model.evaluate(validation.x, validation.y, verbose=0, return_dict=True)
        return {**reported, **{f"val_{name}": value for name, value in figures.items()}}

    return train


def train_on_batch(problem: Problem, make: MakeOptimizer, batch_size: int) -> Loop:
    """Keras's own step, batch by batch; it resets its metrics every time."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        model.compile(optimizer=make(), metrics=["accuracy"] if problem.accuracy else None, **problem.compiled)
        generator = np.random.default_rng(5)
        means: dict[str, keras.metrics.Mean] = {}
        for _ in range(epochs):
            means.clear()
            order = generator.permutation(len(data))
            for start in range(0, len(order), batch_size):
                batch = data.rows(order[start : start + batch_size])
                weights = {"sample_weight": batch.sample_weight, "class_weight": data.class_weight}
                _add(means, model.train_on_batch(batch.x, batch.y, return_dict=True, **weights), batch.y)
        return {name: float(mean.result()) for name, mean in means.items()}

    return train


class Trainer(keras.Model):  # type: ignore[misc]  # Keras has no types
    """User-written steps around a model, with metrics that are tracked."""

    def __init__(self, inner: keras.Model, problem: Problem) -> None:
        super().__init__()
        self.inner, self.problem = inner, problem
        self.means = {
            name: keras.metrics.Mean(name=name) for name in ("loss", *(["accuracy"] if problem.accuracy else []))
        }

    @property
    def metrics(self) -> list[Any]:
        return list(self.means.values())

    def call(self, x: Any, training: bool = False) -> Any:
        return self.inner(x, training=training)

    def _told(self, x: Any, y: Any, outputs: Any, loss: Any) -> dict[str, Any]:
        for name, value in {"loss": loss, **hits(self.problem, y, outputs)}.items():
            self.means[name].update_state(value, sample_weight=tf.shape(keras.tree.flatten(x)[0])[0])
        return {name: mean.result() for name, mean in self.means.items()}

    def train_step(self, data: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = loss_of(self.problem, self.inner, y, outputs, weight)
            scaled = self.optimizer.scale_loss(loss)
        self.optimizer.apply(tape.gradient(scaled, self.trainable_variables), self.trainable_variables)
        return self._told(x, y, outputs, loss)

    def test_step(self, data: Any) -> Any:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        outputs = self(x, training=False)
        return self._told(x, y, outputs, loss_of(self.problem, self.inner, y, outputs))


def custom_step(problem: Problem, make: MakeOptimizer, batch_size: int) -> Loop:
    """``fit`` around user-written steps."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        loop = compile_and_fit(optimizer=lambda: optimizer_for(problem, make), batch_size=batch_size)
        return loop(Trainer(model, problem), data, epochs)

    return train


LOOPS: dict[str, MakeLoop] = {
    "fit": fit,
    "fit_eagerly": lambda problem, make, size: fit(problem, make, size, run_eagerly=True),
    "tape": tape,
    "tape_graph": tape_graph,
    "tf_data": tf_data,
    "indexed": indexed,
    "train_on_batch": train_on_batch,
    "custom_step": custom_step,
}
