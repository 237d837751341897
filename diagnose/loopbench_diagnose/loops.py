"""Ways of training to hand to :func:`loopbench_diagnose.diagnose`, beside the user's functions."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.containers import as_data
from loopbench_diagnose.data import PIPELINES, Data, leaves
from loopbench_diagnose.pipelines import batched, pipeline_of
from loopbench_diagnose.settings import copy_of

# Trains the model on the data, of the kind that `diagnose` was given, for a number of epochs; returns what it reports:
# a History, its dictionary or None.
Loop = Callable[[keras.Model, Any, int], Any]

# (model, optimizer, x, y, sample_weight) → the batch's loss, a dictionary of figures, or None.
Step = Callable[[keras.Model, keras.optimizers.Optimizer, Any, Any, Any], Any]

# An optimizer, its name, or a function that makes one; Keras has no types to say so with.
Optimizer = Any


def _fresh(thing: Any) -> Any:
    """A copy without the state that an earlier training left; text and functions stay what they are."""
    if isinstance(thing, keras.optimizers.Optimizer):
        return copy_of(thing)
    return type(thing).from_config(thing.get_config()) if isinstance(thing, keras.metrics.Metric) else thing


def _fresh_optimizer(optimizer: Optimizer) -> keras.optimizers.Optimizer:
    if isinstance(optimizer, str):
        return keras.optimizers.get(optimizer)
    return _fresh(optimizer) if isinstance(optimizer, keras.optimizers.Optimizer) else optimizer()


def compile_and_fit(
    *,
    optimizer: Optimizer = "rmsprop",
    metrics: Any = None,
    batch_size: int = 32,
    shuffle: bool = True,
    stock_steps: bool = False,
    fit_options: Mapping[str, Any] | None = None,
    **compile_options: Any,
) -> Loop:
    """What ``Model.compile`` and ``Model.fit`` do.

    Args:
        optimizer: an optimizer, which is copied for every experiment, its name, or a function that makes one.
        metrics: as for ``compile``; copied as well.
        batch_size: samples in a batch.
        shuffle: as for ``fit``.
        stock_steps: take ``keras.Model``'s own ``train_step`` and ``test_step``, and the metrics of ``compile`` alone,
            even where the model overrides them.
        fit_options: more options for ``fit``; they come before those that follow from the data.
        compile_options: more options for ``compile``: ``loss``, ``loss_weights``, ``jit_compile`` and so on.
    """

    def train(model: keras.Model, given: Any, epochs: int) -> Any:
        data = as_data(given, lambda: model)
        with model.distribute_strategy.scope():
            model.compile(
                optimizer=_fresh_optimizer(optimizer),
                metrics=keras.tree.map_structure(_fresh, metrics),
                **compile_options,
            )
        if stock_steps:
            _take_stock_steps(model)
        validation = data.validation
        history = model.fit(
            epochs=epochs,
            **{
                "shuffle": shuffle,
                **_fit_inputs(data, batch_size, model),
                "class_weight": None if data.class_weight is None else dict(data.class_weight),
                "validation_data": None if validation is None else _validation_inputs(validation, batch_size, model),
                "verbose": 0,
                **(fit_options or {}),
            },
        )
        return history.history

    return train


def _take_stock_steps(model: keras.Model) -> None:
    """What goes with the steps is taken too: metrics that a model has for its own steps would never be fed."""
    names = ("train_step", "test_step", "compute_metrics", "get_metrics_result")
    own, kind = {id(metric) for metric in model._metrics}, type(model)  # noqa: SLF001  there is no public list
    metrics = property(lambda stock: [metric for metric in keras.Model.metrics.fget(stock) if id(metric) not in own])
    model.__class__ = type(
        kind.__name__, (kind,), {"metrics": metrics, **{name: getattr(keras.Model, name) for name in names}}
    )


def _fit_inputs(data: Data, batch_size: int, model: keras.Model) -> dict[str, Any]:
    """What ``fit`` takes for the samples; a data set has its own batches, and ``tf.data`` its own shuffle."""
    if isinstance(data.x, tf.data.Dataset):
        return {"x": batched(data.x, batch_size, model), "shuffle": False}
    if isinstance(data.x, PIPELINES):
        return {"x": data.x}
    return {"x": data.x, "y": data.y, "sample_weight": data.sample_weight, "batch_size": batch_size}


def _validation_inputs(data: Data, batch_size: int, model: keras.Model) -> Any:
    if isinstance(data.x, PIPELINES):
        return batched(data.x, batch_size, model)
    return (data.x, data.y) if data.sample_weight is None else (data.x, data.y, data.sample_weight)


def steps(step: Step, *, optimizer: Optimizer, batch_size: int = 32, shuffle: bool = True) -> Loop:
    """A loop around one training step.

    Args:
        step: called as ``step(model, optimizer, x, y, sample_weight)`` with tensors of a batch (``sample_weight`` may
            be None); makes one update and returns the batch's loss, a dictionary of figures or None. Figures of an
            epoch are their means, weighted with the samples of each batch.
        optimizer: an optimizer, which is copied for every experiment, its name, or a function that makes one.
        batch_size: samples in a batch; the last may hold fewer.
        shuffle: draw a new order for every epoch.
    """

    def train(model: keras.Model, given: Any, epochs: int) -> Any:
        data = as_data(given, lambda: model)
        made = _fresh_optimizer(optimizer)
        # Within a tf.function no variable may be made on a later call.
        made.build(model.trainable_variables)
        generator = np.random.default_rng(0)
        figures: dict[str, float] = {}
        for _ in range(epochs):
            batches = _batches(data, batch_size, model, generator if shuffle else None)
            figures = _mean([(_call(step, model, made, batch), len(batch)) for batch in batches])
        return figures

    return train


def _batches(data: Data, batch_size: int, model: keras.Model, generator: np.random.Generator | None) -> Iterable[Data]:
    """One epoch, in an order that ``generator`` draws; a data set has its own batches and its own order."""
    if isinstance(data.x, PIPELINES):
        return pipeline_of(batched(data.x, batch_size, model), lambda: model).batches()
    order = np.arange(len(data)) if generator is None else generator.permutation(len(data))
    return [data.rows(order[start : start + batch_size]) for start in range(0, len(order), batch_size)]


def _call(step: Step, model: keras.Model, optimizer: keras.optimizers.Optimizer, batch: Data) -> dict[str, float]:
    x, y, weight = (
        keras.tree.map_structure(lambda leaf: None if leaf is None else keras.ops.convert_to_tensor(leaf), part)
        for part in (batch.x, batch.y, batch.sample_weight)
    )
    stated = step(model, optimizer, x, y, weight)
    if stated is None:
        return {}
    named = stated if isinstance(stated, Mapping) else {"loss": stated}
    return {name: float(np.mean(leaves(value)[0])) for name, value in named.items()}


def _mean(figures: list[tuple[dict[str, float], int]]) -> dict[str, float]:
    total = sum(count for _, count in figures)
    names = figures[0][0] if figures else {}
    return {name: sum(stated[name] * count for stated, count in figures) / total for name in names}
