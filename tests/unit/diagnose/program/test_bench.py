"""Trials of programs that fail with some of the changes."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose import Data
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.run import Program

RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(60, 3)).astype("float32")
DATA = Data(X, X[:, :1] - X[:, 1:2])


class Penalized(keras.Model):  # type: ignore[misc]  # Keras has no types
    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            # add_n refuses an empty list.
            loss = tf.reduce_mean((y - self(x, training=True)) ** 2) + tf.add_n(self.losses)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


def build_model() -> keras.Model:
    inputs = keras.Input((3,))
    return Penalized(inputs, keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.001))(inputs))


def fit(model: keras.Model, data: Any, epochs: int = 20) -> None:
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(data.x, data.y, batch_size=20, epochs=epochs, verbose=0)


def test_a_change_under_which_the_program_fails_hides_no_other() -> None:
    bench = Bench(Program(build_model, DATA, fit, epochs=None, samples=60, seed=0))
    assert bench.level({"rate": 0.9}) > 0.5
    assert bench.level({"penalty": True}) == 0
    assert bench.level({"penalty": True, "rate": 0.9}) == 0
    assert [*bench.failed] == [{"penalty"}]


def test_a_program_that_fails_without_changes_has_no_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(build_model, DATA, fit, epochs=None, samples=60, seed=0)

    def fail(**_: Any) -> Any:
        raise OSError("no memory")

    monkeypatch.setattr(program, "trial", fail)
    with pytest.raises(OSError, match="no memory"):
        Bench(program).level({})
