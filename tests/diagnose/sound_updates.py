"""Pairs that make the same updates in different ways; each is (problem, first side, second side)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose import Data, steps
from loopbench_diagnose.loops import Loop

from .sound_loops import fit, step_of
from .sound_models import Problem
from .sound_problems import PROBLEMS

Pair = tuple[Problem, Loop, Loop]
SIZE = 16


def unvalidated(name: str) -> Problem:
    """A problem without its validation set, which takes time and says nothing of updates."""
    problem = PROBLEMS[name]()
    return replace(problem, data=replace(problem.data, validation=None))


def sgd(**options: Any) -> Callable[[], keras.optimizers.Optimizer]:
    return lambda: keras.optimizers.SGD(0.05, **options)


def adam(**options: Any) -> Callable[[], keras.optimizers.Optimizer]:
    return lambda: keras.optimizers.Adam(0.01, **options)


def _by_hand(name: str, made: dict[str, Any], change: Callable[[Any], Any]) -> Pair:
    """An optimizer that is configured to change gradients, against one that is given changed gradients."""
    problem = unvalidated(name)
    step = step_of(problem, lambda optimizer, gradients, variables: optimizer.apply(change(gradients), variables))
    return problem, fit(problem, sgd(**made), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _scaled_by_hand(name: str, made: dict[str, Any], change: Callable[[Any], Any]) -> Pair:
    """A loop that multiplies the loss, divides the gradients by the same number and changes them after that."""
    problem, scale = unvalidated(name), 2.0**10

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as recorded:
            loss = tf.reduce_mean(problem.per_sample(y, model(x, training=True)))
            scaled = scale * loss
        gradients = [one / scale for one in recorded.gradient(scaled, model.trainable_variables)]
        optimizer.apply(change(gradients), model.trainable_variables)
        return loss

    return problem, fit(problem, sgd(**made), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _l2_by_hand() -> Pair:
    problem = unvalidated("l2")

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as recorded:
            penalty = 0.05 * tf.reduce_sum(tf.square(model.layers[0].kernel))
            loss = tf.reduce_mean(problem.per_sample(y, model(x, training=True))) + penalty
        optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return problem, fit(problem, sgd(), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _sgd_by_hand() -> Pair:
    problem = unvalidated("dense")

    def update(_: Any, gradients: Any, variables: Any) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            variable.assign_sub(0.05 * gradient)

    return problem, fit(problem, sgd(), SIZE), steps(step_of(problem, update), optimizer=sgd(), batch_size=SIZE)


def _schedule_by_hand() -> Pair:
    problem = unvalidated("dense")

    def decay() -> Any:
        return keras.optimizers.SGD(keras.optimizers.schedules.InverseTimeDecay(0.1, 4, 0.5))

    def update(optimizer: Any, gradients: Any, variables: Any) -> None:
        optimizer.learning_rate = 0.1 / (1 + 0.5 * float(optimizer.iterations) / 4)
        optimizer.apply(gradients, variables)

    return problem, fit(problem, decay, SIZE), steps(step_of(problem, update), optimizer=sgd(), batch_size=SIZE)


def _moving_average() -> Pair:
    problem, make = PROBLEMS["dense"](), sgd(use_ema=True, ema_momentum=0.9)

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer, step, generator = make(), step_of(problem), np.random.default_rng(4)
        for _ in range(epochs):
            order = generator.permutation(len(data))
            for start in range(0, len(order), SIZE):
                batch = data.rows(order[start : start + SIZE])
                step(model, optimizer, batch.x, batch.y, None)
        # As fit does at its end.
        optimizer.finalize_variable_values(model.trainable_variables)

    return problem, fit(problem, make, SIZE), train


def _clip_each(gradients: Any) -> Any:
    return [tf.clip_by_norm(gradient, 0.1) for gradient in gradients]


def _clip_all(gradients: Any) -> Any:
    return tf.clip_by_global_norm(gradients, 0.1)[0]


def _clip_values(gradients: Any) -> Any:
    return [tf.clip_by_value(gradient, -0.01, 0.01) for gradient in gradients]


def _micro_batches() -> Pair:
    """Gradients of four samples at a time, added up before the update."""
    problem = unvalidated("dense")

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        gradients: list[Any] = []
        for start in range(0, len(x), 4):
            part = slice(start, start + 4)
            with tf.GradientTape() as recorded:
                loss = tf.reduce_sum(problem.per_sample(y[part], model(x[part], training=True))) / len(x)
            found = recorded.gradient(loss, model.trainable_variables)
            gradients = [sum(both) for both in zip(gradients, found, strict=True)] if gradients else found
        optimizer.apply(gradients, model.trainable_variables)

    return problem, fit(problem, sgd(), SIZE), steps(step, optimizer=sgd(), batch_size=SIZE)


def _two_optimizers() -> Pair:
    """Every layer has a separate optimizer."""
    problem = unvalidated("dense")

    def train(model: Any, data: Data, epochs: int) -> None:
        made, generator = (adam()(), adam()()), np.random.default_rng(6)
        for _ in range(epochs):
            order = generator.permutation(len(data))
            for start in range(0, len(order), SIZE):
                batch = data.rows(order[start : start + SIZE])
                with tf.GradientTape(persistent=True) as recorded:
                    loss = tf.reduce_mean(problem.per_sample(batch.y, model(batch.x, training=True)))
                for optimizer, layer in zip(made, model.layers, strict=True):
                    optimizer.apply(recorded.gradient(loss, layer.trainable_variables), layer.trainable_variables)

    return problem, fit(problem, adam(), SIZE), train


UPDATES: dict[str, Callable[[], Pair]] = {
    "clipnorm": lambda: _by_hand("dense", {"clipnorm": 0.1}, _clip_each),
    "global_clipnorm": lambda: _by_hand("conv2d", {"global_clipnorm": 0.1}, _clip_all),
    "clipvalue": lambda: _by_hand("dense", {"clipvalue": 0.01}, _clip_values),
    "loss_scaled_by_hand": lambda: _scaled_by_hand("conv2d", {}, list),
    "loss_scaled_by_hand_and_clipped": lambda: _scaled_by_hand("conv2d", {"global_clipnorm": 0.1}, _clip_all),
    "loss_scaled_by_hand_and_clipped_each": lambda: _scaled_by_hand("dense", {"clipnorm": 0.1}, _clip_each),
    "loss_scaled_by_hand_and_clipped_values": lambda: _scaled_by_hand("dense", {"clipvalue": 0.01}, _clip_values),
    "loss_scaled_by_hand_in_float16": lambda: _scaled_by_hand("mixed_float16", {}, list),
    "loss_scaled_by_hand_in_float16_and_clipped": lambda: _scaled_by_hand(
        "mixed_float16", {"global_clipnorm": 0.1}, _clip_all
    ),
    "l2_by_hand": _l2_by_hand,
    "sgd_by_hand": _sgd_by_hand,
    "schedule_by_hand": _schedule_by_hand,
    "moving_average": _moving_average,
    "micro_batches": _micro_batches,
    "two_optimizers": _two_optimizers,
}
