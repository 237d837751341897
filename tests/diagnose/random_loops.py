"""Loops of a grammar: one training step and one order of the batches, written by several drivers.

A :class:`Writing` is a loop without its driver. Its defaults are right; a fault replaces one of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose import Data, compile_and_fit
from loopbench_diagnose.loops import Loop

from .sound_loops import LOOPS, MakeOptimizer, evaluated, hits, loss_of
from .sound_models import Problem

DECAY = keras.optimizers.schedules.ExponentialDecay
OPTIMIZERS: dict[str, MakeOptimizer] = {
    "sgd": lambda: keras.optimizers.SGD(0.05),
    "momentum": lambda: keras.optimizers.SGD(0.03, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.02),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.005),
    "decaying": lambda: keras.optimizers.SGD(DECAY(0.05, 4, 0.8)),
}
STATEFUL = ("momentum", "adam", "adamw", "rmsprop")

# (problem, model, labels, outputs, sample weights) → a number that is differentiated or reported.
Loss = Callable[[Problem, Any, Any, Any, Any], Any]
Notes = dict[str, Any]


def penalty_of(model: Any) -> Any:
    """What the model adds to the loss by itself."""
    return tf.add_n(model.losses) if model.losses else 0.0


def permuted(count: int, size: int, notes: Notes) -> list[Any]:  # noqa: ARG001
    """The rows of an epoch's batches: another permutation every time, the smaller batch at the end."""
    order = np.random.permutation(count)  # noqa: NPY002  as people write it
    return [order[start : start + size] for start in range(0, count, size)]


def weighted_mean(values: list[float], counts: list[int]) -> float:
    """The mean over the samples of an epoch."""
    return float(np.average(values, weights=counts))


def on_validation_set(problem: Problem, model: Any, data: Data) -> dict[str, float]:
    """Loss and accuracy over the validation set, where there is one."""
    return evaluated(problem, model, data.validation, 16) if data.validation else {}


@dataclass(frozen=True)
class Writing:
    """What a loop does at its places.

    ``micro`` is the number of samples in a micro-batch, whose gradients are added up; ``share`` is the weight of one of
    ``count`` samples among ``total`` in ``parts``. ``hooks`` are called with the model, the optimizer and the notes of
    one training; the first may return another optimizer.
    """

    training: bool = True
    prepare: Callable[[Any, Any, Notes], tuple[Any, Any]] = lambda x, y, _: (x, y)
    loss: Loss = loss_of
    reported_loss: Loss | None = None
    hits: Callable[[Problem, Any, Any], dict[str, Any]] = hits
    change: Callable[[Any, Notes], Any] = lambda gradients, _: gradients
    variables: Callable[[Any], list[Any]] = lambda model: model.trainable_variables
    optimizer: MakeOptimizer | None = None
    micro: int | None = None
    share: Callable[[int, int, int], float] = lambda count, total, parts: count / total  # noqa: ARG005
    arranged: Callable[[Data], Data] = lambda data: data
    batches: Callable[[int, int, Notes], list[Any]] = permuted
    before_epoch: Callable[[Any, Any, Notes], Any] = lambda *_: None
    after_update: Callable[[Any, Any, Notes], None] = lambda *_: None
    after_epoch: Callable[[Any, Any, Notes], None] = lambda *_: None
    mean: Callable[[list[float], list[int]], float] = weighted_mean
    measured: Callable[[Problem, Any, Data], dict[str, float]] | None = None
    validated: Callable[[Problem, Any, Data], dict[str, float]] = on_validation_set


def _part(arrays: Any, rows: slice) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[rows], arrays)


def _length(x: Any) -> int:
    return int(keras.tree.flatten(x)[0].shape[0])


def _gradients(writing: Writing, problem: Problem, model: Any, batch: tuple[Any, Any, Any], notes: Notes) -> Any:
    x, y, weight = batch
    x, y = writing.prepare(x, y, notes)
    with tf.GradientTape() as tape:
        outputs = model(x, training=writing.training)
        loss = writing.loss(problem, model, y, outputs, weight)
    shown = loss if writing.reported_loss is None else writing.reported_loss(problem, model, y, outputs, weight)
    return tape.gradient(loss, writing.variables(model)), {"loss": shown, **writing.hits(problem, y, outputs)}


def _accumulated(writing: Writing, problem: Problem, model: Any, batch: tuple[Any, Any, Any], notes: Notes) -> Any:
    """Sums over micro-batches, each with its share."""
    total = _length(batch[0])
    if writing.micro is None:
        return _gradients(writing, problem, model, batch, notes)
    starts = range(0, total, writing.micro)
    gradients, figures = None, None
    for start in starts:
        part = tuple(_part(arrays, slice(start, start + writing.micro)) for arrays in batch)
        count = _length(part[0])
        found, shown = _gradients(writing, problem, model, part, notes)
        share = writing.share(count, total, len(starts))
        found = [share * tf.convert_to_tensor(gradient) for gradient in found]
        gradients = found if gradients is None else [a + b for a, b in zip(gradients, found, strict=True)]
        shown = {name: tf.cast(value, tf.float32) * (count / total) for name, value in shown.items()}
        figures = shown if figures is None else {name: figures[name] + shown[name] for name in shown}
    return gradients, figures


def _step(writing: Writing, problem: Problem, model: Any, optimizer: Any, notes: Notes) -> Any:
    def step(x: Any, y: Any, weight: Any) -> Any:
        gradients, figures = _accumulated(writing, problem, model, (x, y, weight), notes)
        optimizer().apply_gradients(zip(writing.change(gradients, notes), writing.variables(model), strict=True))
        return figures

    return step


def _tensors(arrays: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else tf.convert_to_tensor(leaf), arrays)


def _rows(writing: Writing, data: Data, size: int, notes: Notes) -> Iterator[tuple[Any, Any, Any]]:
    for rows in writing.batches(len(data), size, notes):
        batch = data.rows(rows)
        yield _tensors(batch.x), _tensors(batch.y), _tensors(batch.sample_weight)


def _dataset(_: Writing, data: Data, size: int, __: Notes) -> Iterator[tuple[Any, Any, Any]]:
    parts = (data.x, data.y) if data.sample_weight is None else (data.x, data.y, data.sample_weight)
    for x, y, *weight in tf.data.Dataset.from_tensor_slices(parts).shuffle(len(data)).batch(size):
        yield x, y, weight[0] if weight else None


def _looped(feed: Any, *, graph: bool) -> Any:
    """A driver that goes over ``feed``; the step is a ``tf.function`` under ``graph``."""

    def driver(writing: Writing, problem: Problem, make: MakeOptimizer, size: int) -> Loop:
        def train(model: Any, data: Data, epochs: int) -> dict[str, float]:
            notes: Notes = {"update": 0, "epoch": 0, "make": writing.optimizer or make}
            optimizer = notes["make"]()
            optimizer.build(writing.variables(model))
            plain = _step(writing, problem, model, lambda: optimizer, notes)
            step, figures = tf.function(plain) if graph else plain, {}
            for epoch in range(epochs):
                notes["epoch"] = epoch
                optimizer = writing.before_epoch(model, optimizer, notes) or optimizer
                shown: list[dict[str, float]] = []
                counts: list[int] = []
                for batch in feed(writing, writing.arranged(data), size, notes):
                    shown.append({name: float(value) for name, value in step(*batch).items()})
                    counts.append(_length(batch[0]))
                    notes["update"] += 1
                    writing.after_update(model, optimizer, notes)
                writing.after_epoch(model, optimizer, notes)
                figures = {name: writing.mean([one[name] for one in shown], counts) for name in shown[0]}
            figures |= writing.measured(problem, model, data) if writing.measured else {}
            return figures | writing.validated(problem, model, data)

        return train

    return driver


class Stepping(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A model with a written training step."""

    def __init__(self, inner: keras.Model, writing: Writing, problem: Problem) -> None:
        super().__init__()
        self.inner, self.writing, self.problem = inner, writing, problem
        names = ("loss", *(["accuracy"] if problem.accuracy else []))
        self.means = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def metrics(self) -> list[Any]:
        return list(self.means.values())

    def call(self, x: Any, training: bool = False) -> Any:
        return self.inner(x, training=training)

    def _results(self, figures: dict[str, Any], x: Any) -> dict[str, Any]:
        for name, value in figures.items():
            self.means[name].update_state(value, sample_weight=tf.shape(x)[0])
        return {name: mean.result() for name, mean in self.means.items()}

    def train_step(self, data: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        gradients, figures = _gradients(self.writing, self.problem, self.inner, (x, y, weight), {})
        variables = self.writing.variables(self.inner)
        self.optimizer.apply(self.writing.change(gradients, {}), variables)
        return self._results(figures, x)

    def test_step(self, data: Any) -> Any:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        outputs = self(x, training=False)
        return self._results(
            {"loss": loss_of(self.problem, self.inner, y, outputs), **hits(self.problem, y, outputs)}, x
        )


def _train_step(writing: Writing, problem: Problem, make: MakeOptimizer, size: int) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> Any:
        loop = compile_and_fit(optimizer=writing.optimizer or make, batch_size=size)
        return loop(Stepping(model, writing, problem), data, epochs)

    return train


# Drivers; the first two take all of a writing, the others what belongs to a step.
DRIVERS: dict[str, Callable[[Writing, Problem, MakeOptimizer, int], Loop]] = {
    "arrays": _looped(_rows, graph=False),
    "graph": _looped(_rows, graph=True),
    "dataset": _looped(_dataset, graph=False),
    "train step": _train_step,
}
EAGER, LOOPED, STEPS = ("arrays",), ("arrays", "graph"), tuple(DRIVERS)
# All loops that are right, by drivers and otherwise; those that report a validation.
SOUND: dict[str, Callable[[Problem, MakeOptimizer, int], Loop]] = {
    **LOOPS,
    **{
        name: lambda problem, make, size, driver=driver: driver(Writing(), problem, make, size)  # type: ignore[misc]
        for name, driver in DRIVERS.items()
    },
}
ACCUMULATED: dict[str, Callable[[Problem, MakeOptimizer, int], Loop]] = {
    f"micro-batches, {name}": lambda problem, make, size, driver=DRIVERS[name]: driver(  # type: ignore[misc]
        Writing(micro=4), problem, make, size
    )
    for name in ("arrays", "graph", "dataset")
}
VALIDATING = ("fit", "fit_eagerly", "tf_data", "indexed", "custom_step", *DRIVERS)
