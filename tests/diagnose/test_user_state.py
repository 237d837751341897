"""The caller's process: its settings hold during a diagnosis, and are as before after it."""

import gc
import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework import config

from loopbench.spec import Reason
from loopbench_diagnose import Data, compile_and_fit, diagnose

from .fault_models import SIZE, images, mean_log, reasons, sgd, signals, squared, taped

# A variable each of the few small objects that Keras and TensorFlow keep for good would take.
FEW = 20


def _fit(loss: Any = "mse") -> Any:
    return compile_and_fit(optimizer=sgd(), loss=loss, batch_size=SIZE)


@pytest.fixture
def deterministic() -> Iterator[None]:
    tf.config.experimental.enable_op_determinism()
    yield
    # TensorFlow has no public way back.
    config.disable_op_determinism()


def _dropout() -> Any:
    return images(lambda: layers.Dropout(0.3))


@pytest.mark.usefixtures("deterministic")
def test_operations_may_be_deterministic() -> None:
    build, data = _dropout()
    loss = "sparse_categorical_crossentropy"
    assert reasons(diagnose(build, data, _fit(loss), taped(mean_log))) == []
    assert reasons(diagnose(build, data, _fit(loss), taped(mean_log, training=False))) == [Reason.TRAINING_FLAG]


def test_a_global_seed_is_kept() -> None:
    build, data = signals()
    keras.utils.set_random_seed(7)
    expected = random.random(), np.random.random()  # noqa: NPY002, S311  what users draw from
    keras.utils.set_random_seed(7)
    assert reasons(diagnose(build, data, _fit(), taped(squared))) == []
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002, S311
    assert keras.config.dtype_policy().name == "float32"


def test_a_policy_is_kept() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    build, data = signals(dtype="float32")
    assert reasons(diagnose(build, data, _fit(), taped(squared))) == []
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def _globals() -> tuple[Any, ...]:
    return (
        keras.layers.Layer.__call__,
        keras.Model.compile,
        keras.optimizers.Optimizer.apply,
        keras.losses.Loss.__call__,
        keras.metrics.Metric.__init__,
        tf.GradientTape.gradient,
        tf.config.functions_run_eagerly(),
        keras.config.dtype_policy().name,
        str(random.getstate()),
        str(np.random.get_state()),  # noqa: NPY002
    )


def test_an_exception_leaves_nothing_behind() -> None:
    build, data = signals()
    message = "the data has moved"

    def fail(model: Any, data: Data, epochs: int) -> Any:
        taped(squared)(model, data, epochs)
        keras.config.set_dtype_policy("mixed_float16")
        keras.utils.set_random_seed(3)
        raise OSError(message)

    before = _globals()
    with pytest.raises(OSError, match=message):
        diagnose(build, data, _fit(), fail)
    assert _globals() == before


def _variables() -> int:
    gc.collect()
    return sum(isinstance(thing, keras.Variable) for thing in gc.get_objects())


def test_a_second_diagnosis_in_a_process_that_has_trained() -> None:
    build, data = signals()
    mine = build()
    mine.compile(optimizer="adam", loss="mse")
    mine.fit(data.x, data.y, verbose=0)
    weights = mine.get_weights()

    found, counts = [], []
    for _ in range(3):
        found.append(reasons(diagnose(build, data, _fit(), taped(lambda y, z: 2 * squared(y, z)))))
        counts.append(_variables())
    assert found == [[Reason.LOSS_REDUCTION]] * 3
    assert counts[2] - counts[1] < FEW
    for mine_now, then in zip(mine.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(mine_now, then)
    mine.fit(data.x, data.y, verbose=0)


def test_a_policy_that_a_loop_sets_is_its_own() -> None:
    build, data = signals()

    def half(model: Any, data: Data, epochs: int) -> Any:
        reported = taped(squared)(model, data, epochs)
        keras.config.set_dtype_policy("mixed_float16")
        return reported

    assert reasons(diagnose(build, data, half, taped(squared))) == []
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_under_a_strategy_of_the_callers() -> None:
    build, data = signals()
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        assert reasons(diagnose(build, data, _fit(), _fit())) == []
