"""Replicas of a strategy: faults in how their losses are divided, and right ways, of which nothing is reported."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose
from loopbench_diagnose.loops import Loop

from .fault_models import SIZE, Loss, Problem, adam, evidence_of, images, mean_log, only, sgd, signals, squared

REPLICAS = 2
# A whole batch and one of 13, a prime in all: eager steps of replicas take long.
FEW = 29
STRATEGY = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(REPLICAS)])


def mirrored(problem: Problem) -> Problem:
    """The same model, built under the strategy."""
    build, data = problem

    def build_in_scope() -> keras.Model:
        with STRATEGY.scope():
            return build()

    return build_in_scope, data


def by_dataset(data: Data) -> Any:
    """Batches that the strategy divides."""
    samples = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data))
    return STRATEGY.experimental_distribute_dataset(samples.batch(SIZE))


def by_function(data: Data) -> Any:
    """Batches of a replica's size."""

    def batches(context: tf.distribute.InputContext) -> Any:
        samples = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data))
        return samples.batch(context.get_per_replica_batch_size(SIZE))

    return STRATEGY.distribute_datasets_from_function(batches)


def replicated(
    loss: Loss,
    *,
    optimizer: Callable[[], keras.optimizers.Optimizer] = sgd(),  # noqa: B008  it makes a new one
    training: bool = True,
    batches: Callable[[Data], Any] = by_dataset,
    change: Callable[[Any], Any] = lambda gradients: gradients,
) -> Loop:
    """The loop of TensorFlow's tutorial; ``change`` is what it does to gradients before the optimizer takes them."""

    def train(model: keras.Model, data: Data, epochs: int) -> None:
        with STRATEGY.scope():
            made = optimizer()
            made.build(model.trainable_variables)

        def step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                value = loss(y, model(x, training=training))
            gradients = change(tape.gradient(value, model.trainable_variables))
            made.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return value

        train_step = tf.function(lambda batch: STRATEGY.run(step, args=batch))
        distributed = batches(data)
        for _ in range(epochs):
            for batch in distributed:
                train_step(batch)

    return train


def apart(loss: Loss) -> Loop:
    """Gradients and updates are made one after the other, by all replicas."""

    def train(model: keras.Model, data: Data, epochs: int) -> None:
        with STRATEGY.scope():
            made = sgd()()
            made.build(model.trainable_variables)

        def gradients(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                value = loss(y, model(x, training=True))
            return tape.gradient(value, model.trainable_variables)

        def update(*parts: Any) -> None:
            made.apply(parts, model.trainable_variables)

        train_step = tf.function(lambda batch: STRATEGY.run(update, args=STRATEGY.run(gradients, args=batch)))
        distributed = by_dataset(data)
        for _ in range(epochs):
            for batch in distributed:
                train_step(batch)

    return train


def squares(y: Any, outputs: Any) -> Any:
    """float[n]."""
    return tf.reduce_mean(tf.square(y - outputs), axis=1)


def shared(y: Any, outputs: Any) -> Any:
    """A replica's part of the mean."""
    return squared(y, outputs) / STRATEGY.num_replicas_in_sync


def fit(loss: Any = "mse", optimizer: Any = sgd()) -> Loop:  # noqa: B008  it makes a new one
    return compile_and_fit(optimizer=optimizer, loss=loss, batch_size=SIZE)


def test_a_mean_that_is_not_divided() -> None:
    build, data = mirrored(signals(samples=FEW))
    diagnosis = diagnose(build, data, fit(), replicated(squared))
    found = only(diagnosis, Reason.REPLICA_SCALING, Side.SECOND)
    assert (found["replicas"].expected, found["replicas"].observed) == (REPLICAS, REPLICAS)
    assert found["first_gradient_ratio"].observed == pytest.approx(1, rel=1e-4)
    assert found["second_gradient_ratio"].observed == pytest.approx(REPLICAS, rel=1e-4)
    assert "0.1 instead of 0.05" in diagnosis.causes[0].consequence
    assert "num_replicas_in_sync" in diagnosis.causes[0].fix


@pytest.mark.slow
def test_a_mean_that_is_not_divided_under_adam_on_the_first_side() -> None:
    build, data = mirrored(signals(samples=FEW))
    right = replicated(shared, optimizer=adam(), batches=by_function)
    diagnosis = diagnose(build, data, replicated(squared, optimizer=adam()), right)
    found = only(diagnosis, Reason.REPLICA_SCALING, Side.FIRST)
    assert found["first_gradient_ratio"].observed == pytest.approx(REPLICAS, rel=1e-4)
    assert found["second_gradient_ratio"].observed == pytest.approx(1, rel=1e-4)
    assert diagnosis.causes[0].consequence.startswith("Next to none under Adam")


@pytest.mark.slow
def test_a_mean_that_is_handed_to_compile() -> None:
    build, data = mirrored(signals(samples=FEW))
    found = only(diagnose(build, data, fit(), fit(squared)), Reason.REPLICA_SCALING, Side.SECOND)
    assert found["second_gradient_ratio"].observed == pytest.approx(REPLICAS, rel=1e-4)


@pytest.mark.slow
def test_a_loss_of_compile_that_is_divided_twice() -> None:
    build, data = mirrored(signals(samples=FEW))
    twice = fit(lambda y, outputs: squares(y, outputs) / STRATEGY.num_replicas_in_sync)
    diagnosis = diagnose(build, data, twice, replicated(shared))
    found = only(diagnosis, Reason.REPLICA_SCALING, Side.FIRST)
    assert found["first_gradient_ratio"].observed == pytest.approx(1 / REPLICAS, rel=1e-4)
    assert found["second_gradient_ratio"].observed == pytest.approx(1, rel=1e-4)
    assert "0.025 instead of 0.05" in diagnosis.causes[0].consequence
    assert "once" in diagnosis.causes[0].fix


@pytest.mark.slow
def test_gradients_that_are_added_up_twice() -> None:
    build, data = mirrored(signals(samples=FEW))

    def added(gradients: Any) -> Any:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)

    found = only(diagnose(build, data, fit(), replicated(shared, change=added)), Reason.REPLICA_SCALING, Side.SECOND)
    assert found["second_gradient_ratio"].observed == pytest.approx(REPLICAS, rel=1e-4)


@pytest.mark.slow
def test_beside_a_sum_over_outputs() -> None:
    build, data = mirrored(signals(outputs=3, samples=FEW))
    diagnosis = diagnose(build, data, fit(), replicated(lambda y, outputs: 3 * squared(y, outputs)))
    assert {(cause.reason, cause.side) for cause in diagnosis.causes} == {
        (Reason.REPLICA_SCALING, Side.SECOND),
        (Reason.LOSS_REDUCTION, None),
    }
    replicas = evidence_of(diagnosis, Reason.REPLICA_SCALING)
    assert replicas["second_gradient_ratio"].observed == pytest.approx(REPLICAS, rel=1e-4)
    assert evidence_of(diagnosis, Reason.LOSS_REDUCTION)["gradient_ratio"].observed == pytest.approx(3, rel=1e-4)


@pytest.mark.slow
def test_beside_batch_normalization_in_inference_mode() -> None:
    build, data = mirrored(images(layers.BatchNormalization, samples=FEW))
    first = fit("sparse_categorical_crossentropy")
    diagnosis = diagnose(build, data, first, replicated(mean_log, training=False))
    assert {(cause.reason, cause.side) for cause in diagnosis.causes} == {
        (Reason.REPLICA_SCALING, Side.SECOND),
        (Reason.TRAINING_FLAG, Side.SECOND),
    }
    found = evidence_of(diagnosis, Reason.REPLICA_SCALING)
    assert found["first_gradient_ratio"].observed == pytest.approx(1, rel=1e-4)
    assert found["second_gradient_ratio"].observed == pytest.approx(REPLICAS, rel=1e-4)


@pytest.mark.slow
def test_a_fixed_global_batch_size_is_a_fixed_divisor() -> None:
    build, data = mirrored(signals(samples=FEW))

    def fixed(y: Any, outputs: Any) -> Any:
        return tf.nn.compute_average_loss(squares(y, outputs), global_batch_size=SIZE)

    only(diagnose(build, data, fit(), replicated(fixed)), Reason.FIXED_DIVISOR, Side.SECOND)


@pytest.mark.slow
def test_regularization_that_every_replica_adds_in_full() -> None:
    build, data = mirrored(signals(samples=FEW, kernel_regularizer=keras.regularizers.L2(0.05)))

    def train(model: keras.Model, data: Data, epochs: int) -> None:
        replicated(lambda y, outputs: shared(y, outputs) + tf.add_n(model.losses))(model, data, epochs)

    diagnosis = diagnose(build, data, fit(), train)
    found = only(diagnosis, Reason.REGULARIZATION, Side.SECOND)["regularization_gradient"]
    assert found.observed == pytest.approx(REPLICAS * found.expected, rel=1e-3)


def divided(gradients: Any) -> Any:
    return [gradient / STRATEGY.num_replicas_in_sync for gradient in gradients]


SOUND: dict[str, Callable[[], tuple[Problem, Loop, Loop]]] = {
    "fit_and_a_divided_mean": lambda: (signals(samples=FEW), fit(), replicated(shared)),
    "batch_normalization_and_dropout": lambda: (
        images(layers.BatchNormalization, lambda: layers.Dropout(0.3), samples=FEW),
        fit("sparse_categorical_crossentropy"),
        replicated(lambda y, outputs: mean_log(y, outputs) / STRATEGY.num_replicas_in_sync),
    ),
    "compute_average_loss": lambda: (
        signals(samples=FEW),
        fit(optimizer=adam()),
        replicated(lambda y, outputs: tf.nn.compute_average_loss(squares(y, outputs)), optimizer=adam()),
    ),
    "a_loss_of_keras": lambda: (
        signals(samples=FEW),
        replicated(keras.losses.MeanSquaredError(), batches=by_function),
        replicated(shared, batches=by_function),
    ),
    "gradients_divided_later": lambda: (
        signals(samples=FEW),
        fit(),
        replicated(squared, change=divided),
    ),
    "updates_apart": lambda: (signals(samples=FEW), fit(), apart(shared)),
    "a_number_of_replicas_that_was_asked_before": lambda: (
        signals(samples=FEW),
        fit(),
        replicated(lambda y, outputs: squared(y, outputs) / REPLICAS),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_told_of_two_right_loops(name: str) -> None:
    problem, first, second = SOUND[name]()
    build, data = mirrored(problem)
    diagnosis = diagnose(build, data, first, second)
    assert diagnosis.causes == ()
    assert {control.name for control in diagnosis.controls} >= {"gradient_ratio", "updates"}
