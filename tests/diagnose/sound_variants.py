"""Pairs that differ in one way of writing, and are both right; each is (problem, first side, second side)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose import Data, compile_and_fit, steps
from loopbench_diagnose.loops import Loop

from .sound_loops import evaluated, fit, hits, indexed, loss_of, step_of, tape, tape_graph, tf_data
from .sound_models import Problem, classes, make_data, vectors
from .sound_problems import PROBLEMS
from .sound_subclasses import Looking, OnlyAdded, OwnSteps
from .sound_updates import SIZE, UPDATES, Pair, adam, sgd, unvalidated


def _pair(name: str, first: Any = fit, second: Any = tf_data, size: int = SIZE, make: Any = sgd()) -> Pair:  # noqa: B008
    problem = PROBLEMS[name]()
    return problem, first(problem, make, size), second(problem, make, size)


def _with_data(name: str, change: Callable[[Data], Data], second: Any = indexed, size: int = SIZE) -> Pair:
    problem = PROBLEMS[name]()
    problem = replace(problem, data=change(problem.data))
    return problem, fit(problem, sgd(), size), second(problem, sgd(), size)


def _loss_by(name: str, loss: Callable[[Problem, Any, Any, Any], Any], **options: Any) -> Pair:
    """``fit`` against a step that makes its loss with ``loss(problem, model, y, outputs)``."""
    problem = unvalidated(name)

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as recorded:
            value = loss(problem, model, y, model(x, **options))
        optimizer.apply(recorded.gradient(value, model.trainable_variables), model.trainable_variables)
        return value

    return problem, fit(problem, sgd(), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _weights(count: int) -> Any:
    return np.random.default_rng(2).uniform(0.2, 3.0, size=count).astype(np.float32)


def _class_weights() -> Pair:
    problem = PROBLEMS["conv1d"]()
    weights = {0: 0.5, 1: 1.0, 2: 4.0}
    problem = replace(problem, data=replace(problem.data, class_weight=weights))
    table = tf.constant(list(weights.values()))

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as recorded:
            losses = problem.per_sample(y, model(x, training=True))
            loss = tf.reduce_mean(losses * tf.gather(table, y))
        optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return problem, fit(problem, sgd(), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _epoch_by_epoch() -> Pair:
    problem = PROBLEMS["sigmoid"]()

    def train(model: Any, data: Data, epochs: int) -> Any:
        model.compile(optimizer=adam()(), metrics=["accuracy"], **problem.compiled)
        validation = data.validation
        reported = None
        for _ in range(epochs):
            held = None if validation is None else (validation.x, validation.y)
            reported = model.fit(data.x, data.y, batch_size=SIZE, validation_data=held, verbose=0)
        return reported

    return problem, fit(problem, adam(), SIZE), train


def _fit_dataset() -> Pair:
    problem = PROBLEMS["conv2d"]()

    def train(model: Any, data: Data, epochs: int) -> Any:
        model.compile(optimizer=sgd()(), metrics=["accuracy"], **problem.compiled)
        dataset = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data)).batch(SIZE).prefetch(1)
        return model.fit(dataset, epochs=epochs, shuffle=False, verbose=0)

    return problem, fit(problem, sgd(), SIZE), train


def _evaluated_after() -> Pair:
    problem = PROBLEMS["sigmoid"]()

    def train(model: Any, data: Data, epochs: int) -> Any:
        reported = tape_graph(problem, sgd(), SIZE)(model, data, epochs)
        return reported | (evaluated(problem, model, data.validation, len(data.validation)) if data.validation else {})

    return problem, fit(problem, sgd(), SIZE), train


def _predicted() -> Pair:
    """Validation figures in NumPy, of what ``Model.predict`` gives."""
    problem = PROBLEMS["logits"]()

    def train(model: Any, data: Data, epochs: int) -> Any:
        reported = tape(problem, adam(), SIZE)(model, data, epochs)
        if data.validation is None:
            return reported
        y, outputs = data.validation.y, model.predict(data.validation.x, verbose=0)
        losses = np.log(np.exp(outputs).sum(axis=1)) - (y * outputs).sum(axis=1)
        return reported | {
            "val_loss": losses.mean(),
            "val_accuracy": np.mean(outputs.argmax(axis=1) == y.argmax(axis=1)),
        }

    return problem, fit(problem, adam(), SIZE), train


def _with_metric_objects() -> Pair:
    problem = PROBLEMS["conv1d"]()
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy"), keras.metrics.SparseTopKCategoricalAccuracy(2)]
    first = compile_and_fit(optimizer=adam(), metrics=metrics, batch_size=SIZE, **problem.compiled)
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, reported = adam()(), {}
        for _ in range(epochs):
            accuracy.reset_state()
            for x, y in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data)).batch(SIZE):
                with tf.GradientTape() as recorded:
                    outputs = model(x, training=True)
                    loss = loss_of(problem, model, y, outputs)
                optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)
                accuracy.update_state(y, outputs)
            reported = {"accuracy": accuracy.result()}
        return reported

    return problem, first, train


def _unseeded() -> Pair:
    problem = unvalidated("sigmoid")

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, step = adam()(), step_of(problem)
        for _ in range(epochs):
            order = np.random.default_rng().permutation(len(data))
            for start in range(0, len(order), SIZE):
                batch = data.rows(order[start : start + SIZE])
                step(model, optimizer, batch.x, batch.y, None)

    return problem, fit(problem, adam(), SIZE), train


def _own_steps() -> Pair:
    problem = PROBLEMS["conv1d"]()
    data = make_data(vectors(), classes)
    reported: dict[str, Any] = {"optimizer": adam(), "batch_size": SIZE, **problem.compiled}
    first = compile_and_fit(metrics=["accuracy"], stock_steps=True, **reported)
    return replace(problem, build=OwnSteps, data=data), first, compile_and_fit(**reported)


def _only_added() -> Pair:
    problem = Problem(OnlyAdded, Data(vectors()(43), None), {}, lambda _, outputs: outputs)

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as recorded:
            model(x, training=True)
            loss = tf.add_n(model.losses)
        optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return problem, fit(problem, sgd(), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _flat_labels() -> Pair:
    problem = PROBLEMS["sigmoid"]()
    flat, reported = replace(problem.data, y=problem.data.y[:, 0], validation=None), problem.per_sample

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as recorded:
            outputs = model(x, training=True)
            loss = tf.reduce_mean(reported(tf.reshape(y, (-1, 1)), outputs))
        optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)
        return {"loss": loss, **hits(problem, tf.reshape(y, (-1, 1)), outputs)}

    return replace(problem, data=flat), fit(problem, sgd(), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _callbacks() -> Pair:
    def second(problem: Problem, make: Any, size: int) -> Loop:
        def train(model: Any, data: Data, epochs: int) -> Any:
            stops = [keras.callbacks.EarlyStopping("loss", patience=9), keras.callbacks.TerminateOnNaN(), Looking()]
            return fit(problem, make, size, fit_options={"callbacks": stops})(model, data, epochs)

        return train

    return _pair("dense", second=second)


def _keras_loss(problem: Problem, model: Any, y: Any, outputs: Any) -> Any:  # noqa: ARG001
    return keras.losses.SparseCategoricalCrossentropy()(y, outputs)


def _average_loss(problem: Problem, model: Any, y: Any, outputs: Any) -> Any:  # noqa: ARG001
    return tf.nn.compute_average_loss(problem.per_sample(y, outputs))


def _weighted(data: Data) -> Data:
    return replace(data, sample_weight=_weights(len(data)))


def _few(data: Data) -> Data:
    return data.rows(slice(13))


def _unvalidated(data: Data) -> Data:
    return replace(data, validation=None)


def _fit_with(**options: Any) -> Any:
    return lambda problem, make, size: fit(problem, make, size, **options)


VARIANTS: dict[str, Callable[[], Pair]] = {
    **UPDATES,
    "keras_loss": lambda: _loss_by("conv1d", _keras_loss, training=True),
    "average_loss": lambda: _loss_by("logits", _average_loss, training=True),
    "no_training_flag_where_none_is_needed": lambda: _loss_by("dense", loss_of),
    "sample_weights": lambda: _with_data("three_outputs", _weighted),
    "sample_weights_tf_data": lambda: _with_data("conv2d", _weighted, second=tf_data),
    "class_weights": _class_weights,
    "batch_of_one": lambda: _with_data("dense", _few, size=1),
    "batch_larger_than_the_set": lambda: _with_data("dense", _unvalidated, size=500),
    "few_samples": lambda: _with_data("sigmoid", _few, second=tf_data, size=4),
    "whole_set_as_one_batch": lambda: _pair("dense", size=43),
    "epoch_by_epoch": _epoch_by_epoch,
    "fit_dataset": _fit_dataset,
    "evaluated_after": _evaluated_after,
    "predicted": _predicted,
    "metric_objects": _with_metric_objects,
    "flat_labels": _flat_labels,
    "callbacks": _callbacks,
    "own_steps": _own_steps,
    "only_added": _only_added,
    "steps_per_execution": lambda: _pair("sigmoid", second=_fit_with(steps_per_execution=4)),
    "jit_compile": lambda: _pair("conv2d", _fit_with(jit_compile=True), _fit_with(jit_compile=True)),
    "accumulation": lambda: _pair("dense", second=tape, make=sgd(gradient_accumulation_steps=2)),
    "unseeded": _unseeded,
    "unshuffled": lambda: _pair("dense", _fit_with(shuffle=False), _fit_with(shuffle=False, run_eagerly=True)),
    "tape_against_tf_data": lambda: _pair("attention", first=tape, make=adam()),
}
