"""Sides that end with NaN or infinity: the place, the first update, and the other causes."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench import spec
from loopbench.spec import Cause, Diagnosis, Reason
from loopbench_diagnose import Side, compile_and_fit, diagnose, steps
from loopbench_diagnose.harness import Harness
from loopbench_diagnose.loops import Loop

from .fault_models import SIZE, images, mean_log, sgd, signals, squared, taped
from .sound_loops import fit as fit_of
from .sound_loops import tf_data
from .sound_problems import PROBLEMS

HUGE = 1e30


def fit(optimizer: Any, loss: Any = "mse") -> Loop:
    return compile_and_fit(optimizer=optimizer, loss=loss, batch_size=SIZE)


def reported(diagnosis: Diagnosis) -> tuple[Cause, dict[str, float | None]]:
    """The first cause, and at which update each side that diverged did."""
    cause = diagnosis.causes[0]
    assert cause.reason == Reason.NON_FINITE
    return cause, {item.name.removeprefix("non_finite/"): item.observed for item in cause.evidence}


def test_both_sides() -> None:
    """The first update is finite, its weights are too large for the loss of the second."""
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared, optimizer=sgd(learning_rate=HUGE)), fit(sgd(learning_rate=HUGE)()))
    cause, updates = reported(diagnosis)
    assert updates == {"first": 2, "second": 2}
    assert cause.side is None
    assert "Both sides diverge" in cause.title
    assert "in the loss" in cause.title
    assert [cause.reason for cause in diagnosis.causes] == [Reason.NON_FINITE]


def test_two_right_loops_that_diverge_alike() -> None:
    problem = PROBLEMS["dense"]()
    wild = sgd(learning_rate=1e20)
    diagnosis = diagnose(problem.build, problem.data, fit_of(problem, wild, SIZE), tf_data(problem, wild, SIZE))
    assert [cause.reason for cause in diagnosis.causes] == [Reason.NON_FINITE]


def test_one_side_and_why() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared), taped(squared, optimizer=sgd(learning_rate=HUGE)))
    cause, updates = reported(diagnosis)
    assert (updates, cause.side) == ({"second": 2}, spec.Side.SECOND)
    assert [cause.reason for cause in diagnosis.causes] == [Reason.NON_FINITE, Reason.LEARNING_RATE]


def test_a_model_that_ended_with_nan_is_not_taken_for_trained_again() -> None:
    build, data = signals()
    harness = Harness(build, data, seed=0)
    for _ in range(2):
        run = harness.run(Side(taped(squared, optimizer=sgd(learning_rate=HUGE))), data, epochs=3)
        assert np.isnan(run.weights[0]).any()


def test_rates_are_compared_on_what_is_finite() -> None:
    """From the second update on both are NaN, which would agree."""
    build, data = signals()
    first, second = (taped(squared, optimizer=sgd(learning_rate=rate)) for rate in (HUGE, HUGE / 10))
    diagnosis = diagnose(build, data, first, second)
    assert [cause.reason for cause in diagnosis.causes] == [Reason.NON_FINITE, Reason.LEARNING_RATE]
    gap = next(item for item in diagnosis.causes[1].evidence if item.name == "update_gap")
    assert gap.observed == pytest.approx(0.9, rel=1e-3)


def test_a_sound_pair_is_told_to_be_finite() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared), fit(sgd()()))
    assert diagnosis.causes == ()
    assert "finite" in {control.name for control in diagnosis.controls}


def test_nan_in_the_data() -> None:
    build, data = images()
    broken = np.array(data.x)
    broken[0] = np.nan
    loss = "sparse_categorical_crossentropy"
    cause, updates = reported(diagnose(build, replace(data, x=broken), fit("sgd", loss), taped(mean_log)))
    assert set(updates) == {"first", "second"}
    assert "in the loss" in cause.title


def by_hand(factor: float) -> Loop:
    """Without an optimizer: weights are assigned."""

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as tape:
            value = squared(y, model(x, training=True))
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(value, model.trainable_variables), strict=True
        ):
            variable.assign(variable - 0.01 * gradient * factor)
        return value

    return steps(step, optimizer=sgd(), batch_size=SIZE)


def test_weights_that_are_assigned() -> None:
    """The first update makes them infinite, which its loss does not show."""
    build, data = signals()
    cause, updates = reported(diagnose(build, data, fit("sgd"), by_hand(float("inf"))))
    assert (updates, cause.side) == ({"second": 1}, spec.Side.SECOND)
    assert "in the loss" not in cause.title


def test_a_gradient_that_overflows_under_a_loss_scale_is_none() -> None:
    """The optimizer skips it, and halves the scale."""

    def scaled() -> keras.optimizers.Optimizer:
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=2.0**127)

    build, data = signals()
    first, second = fit(scaled()), fit(scaled())
    assert diagnose(build, data, first, second).causes == ()
