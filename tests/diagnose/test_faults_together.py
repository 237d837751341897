"""Several faults at once, and what cannot be diagnosed."""

from dataclasses import replace
from itertools import count
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, NoUpdateError, StructureError, compile_and_fit, diagnose

from .fault_models import SIZE, evidence_of, images, mean_log, sgd, signals, squared, taped


def _told(diagnosis: Any) -> set[tuple[str, Side | None]]:
    return {(cause.reason, cause.side) for cause in diagnosis.causes}


def _sum_of_outputs(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.reduce_sum(tf.square(y - outputs), axis=1))


@pytest.mark.slow
def test_a_sum_and_regularization_left_out() -> None:
    build, data = signals(outputs=3, kernel_regularizer=keras.regularizers.L2(0.05))
    fit = compile_and_fit(optimizer=sgd(), loss="mse", batch_size=SIZE)
    diagnosis = diagnose(build, data, fit, taped(_sum_of_outputs))
    assert _told(diagnosis) == {(Reason.LOSS_REDUCTION, None), (Reason.REGULARIZATION, Side.SECOND)}
    assert evidence_of(diagnosis, Reason.LOSS_REDUCTION)["gradient_ratio"].observed == pytest.approx(3, rel=1e-4)


@pytest.mark.slow
def test_no_training_flag_and_no_sample_weights() -> None:
    build, data = images(layers.BatchNormalization, lambda: layers.Dropout(0.3))
    weighted = replace(data, sample_weight=np.linspace(0.1, 4.0, len(data.x)).astype(np.float32))
    fit = compile_and_fit(optimizer=sgd(), loss="sparse_categorical_crossentropy", batch_size=SIZE)
    diagnosis = diagnose(build, weighted, fit, taped(mean_log, training=False))
    assert _told(diagnosis) == {(Reason.TRAINING_FLAG, Side.SECOND), (Reason.SAMPLE_WEIGHTS, Side.SECOND)}


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0, 1])
def test_no_training_flag_and_other_classes(shift: int) -> None:
    """A flag that makes no difference is none, whatever else differs."""
    middle = (layers.BatchNormalization, lambda: layers.Dropout(0.3)) if shift else ()
    build, data = images(*middle)
    fit = compile_and_fit(optimizer=sgd(), loss="sparse_categorical_crossentropy", batch_size=SIZE)
    diagnosis = diagnose(build, data, fit, taped(lambda y, z: mean_log((y + 1) % 3, z), training=False))
    found = {cause.reason for cause in diagnosis.causes}
    assert found == {Reason.LABELS, *((Reason.TRAINING_FLAG,) if shift else ())}


@pytest.mark.slow
def test_labels_broadcast_and_another_rate_and_no_shuffle() -> None:
    build, data = signals(outputs=1)
    fit = compile_and_fit(optimizer=sgd(), loss="mse", batch_size=SIZE)
    second = taped(squared, optimizer=sgd(learning_rate=0.01), shuffle=False)
    diagnosis = diagnose(build, Data(data.x, data.y[:, 0]), fit, second)
    assert _told(diagnosis) == {
        (Reason.LABELS_BROADCAST, Side.SECOND),
        (Reason.LEARNING_RATE, None),
        (Reason.SHUFFLE, Side.SECOND),
    }


@pytest.mark.slow
def test_pairs_apart_in_batches_of_another_size() -> None:
    build, data = signals()

    def train(model: Any, data: Data, epochs: int) -> Any:
        y = np.random.default_rng(1).permutation(data.y)
        return taped(squared, batch_size=8)(model, Data(data.x, y), epochs)

    diagnosis = diagnose(build, data, taped(squared), train)
    assert _told(diagnosis) == {(Reason.PAIRS_SHUFFLED_APART, Side.SECOND), (Reason.UPDATES, None)}


def test_a_loop_that_takes_no_gradient() -> None:
    build, data = signals()

    def train(model: Any, data: Data, epochs: int) -> None:  # noqa: ARG001
        model(data.x, training=True)

    with pytest.raises(NoUpdateError, match="the second loop"):
        diagnose(build, data, taped(squared), train)


def test_a_factory_of_different_models() -> None:
    _, data = signals()
    sizes = count(3)

    def build() -> keras.Model:
        return keras.Sequential([keras.Input((8, 2)), layers.Flatten(), layers.Dense(next(sizes)), layers.Dense(3)])

    with pytest.raises(StructureError, match="different variables"):
        diagnose(build, data, taped(squared), taped(squared))


def test_a_model_without_a_call_is_refused_with_what_to_do() -> None:
    """As the variational autoencoder of Keras's examples: its train_step calls its parts alone."""

    class Parts(keras.Model):  # type: ignore[misc]  # Keras has no types
        pass

    with pytest.raises(StructureError, match="Parts has no method call; give it one"):
        diagnose(Parts, Data(np.zeros((8, 2)), np.zeros(8)), taped(squared), taped(squared))


def test_data_that_the_model_does_not_take_are_refused_with_what_to_do() -> None:
    def build() -> keras.Model:
        return keras.Sequential([keras.Input((7,)), layers.Dense(1)])

    with pytest.raises(StructureError, match="cannot be called on samples of the data: "):
        diagnose(build, signals()[1], taped(squared), taped(squared))


def test_a_factory_of_nothing() -> None:
    with pytest.raises(StructureError, match="returned NoneType"):
        diagnose(lambda: None, signals()[1], taped(squared), taped(squared))


@pytest.mark.parametrize(
    ("arrays", "reported"),
    [
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "x 3, y 4"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3), "sample_weight": np.ones(2)}, "x 3, y 3, sample_weight 2"),
        ({"x": (np.zeros(3), np.zeros(5)), "y": np.zeros(3)}, "x 3 and 5, y 3"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "x 0, y 0"),
        ({"x": np.zeros((2, 2)), "y": [0, 1]}, "y must be arrays"),
    ],
)
def test_data_of_different_lengths(arrays: dict[str, Any], reported: str) -> None:
    with pytest.raises(ValueError, match=reported):
        Data(**arrays)
