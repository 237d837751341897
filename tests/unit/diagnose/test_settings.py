"""Settings and copies of optimizers with classes of the user's."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose import compile_and_fit
from loopbench_diagnose.settings import comparable, copy_of, copy_or_none, options

optimizers = keras.optimizers


class Warmup(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras has no types
    """As in the Transformer tutorial: it has no configuration, and holds a tensor."""

    def __init__(self, size: int, steps: int = 40) -> None:
        self.size = tf.cast(size, tf.float32)
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        return tf.math.rsqrt(self.size) * (tf.cast(step, tf.float32) + 1) / self.steps


class Configured(Warmup):
    def get_config(self) -> dict[str, Any]:
        return {"size": 4, "steps": self.steps}


class Narrow(keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    """Its constructor takes neither the options of Keras's optimizers nor more than these."""

    def __init__(self, learning_rate: Any = 0.1, scale: float = 1.0) -> None:
        super().__init__(learning_rate, momentum=0.5)
        self.scale = scale

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(self.scale * gradient, variable, learning_rate)


class Renamed(keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    def __init__(self, pace: float, **kwargs: Any) -> None:
        super().__init__(10 * pace, **kwargs)


@pytest.mark.parametrize("kind", [Warmup, Configured])
def test_a_copy_has_the_schedule_itself(kind: Any) -> None:
    made = optimizers.Adam(kind(4), beta_2=0.98)
    other = copy_of(made, epsilon=1e-3)
    assert (other.beta_2, other.epsilon) == (0.98, 1e-3)
    # 1 / √4 · 1 / 40
    assert float(other.learning_rate) == float(made.learning_rate) == pytest.approx(0.0125)


def test_a_copy_of_a_function_of_the_rate() -> None:
    assert float(copy_of(optimizers.SGD(lambda: 0.25)).learning_rate) == 0.25


def test_a_copy_of_a_loss_scale_around_a_schedule() -> None:
    made = copy_of(optimizers.LossScaleOptimizer(optimizers.Adam(Warmup(4), beta_1=0.8), initial_scale=8.0))
    assert (made.initial_scale, made.inner_optimizer.beta_1) == (8.0, 0.8)


def test_a_copy_of_a_users_class_has_its_options() -> None:
    made = Narrow(0.2, scale=3.0)
    copy, variable = copy_of(made), keras.Variable([1.0])
    copy.apply([tf.constant([1.0])], [variable])
    # 1 - 0.2 · 3
    assert variable.numpy() == pytest.approx(0.4)
    assert copy_or_none(Renamed(0.1)) is None


def test_equal_schedules_compare_as_equal() -> None:
    one, same, other = (comparable(optimizers.SGD(Warmup(4, steps))) for steps in (40, 40, 50))
    assert one == same
    assert one != other
    assert options(Warmup(4)) == options(Configured(4)) == {"size": 4.0, "steps": 40}


def test_stock_training_takes_a_users_schedule() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    train = compile_and_fit(optimizer=optimizers.SGD(Warmup(4)), loss="mse")
    train(model, (np.ones((4, 3), "float32"), np.ones((4, 1), "float32")), 2)
    assert int(model.optimizer.iterations) == 2
