"""How loops prepare samples."""

from typing import Any

import numpy as np
import pytest

from loopbench_diagnose import Data
from loopbench_diagnose.program.preparation import are_apart, preparation
from loopbench_diagnose.trace import Call, LossCall, OutputGradient, Step

RANDOM = np.random.default_rng(4)
X = RANDOM.uniform(0, 255, (12, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 12)
HELD = Data(X[:5] + 1, Y[:5])
GIVEN = Data(X, Y, validation=HELD)


def step(inputs: Any, labels: Any = None) -> Step:
    call = Call(rows=[], inputs=inputs, outputs=None, training=True, taped=True, steps_before=0)
    losses = [] if labels is None else [LossCall("", {}, np.asarray(labels, np.float64), None, has_mask=False)]
    return Step(call=call, loss=0.0, loss_scale=1.0, losses=losses)


def of_loss(labels: Any, values: Any, inputs: Any = X[:4]) -> Step:
    """A step whose loop computes the mean of the squares by hand; the gradient is 2 (z - y) / the number of values."""
    made = step(inputs)
    made.output_gradients = [OutputGradient(values, 2 * (values - labels) / values.size, of_logits=False)]
    return made


def test_scaled_inputs_are_scaled_in_both_sets() -> None:
    fed = preparation(GIVEN, step(X[:4] / 255 - 0.5))(GIVEN)
    assert fed.validation is not None
    np.testing.assert_allclose(fed.x, X / 255 - 0.5, atol=1e-5)
    np.testing.assert_allclose(fed.validation.x, (X[:5] + 1) / 255 - 0.5, atol=1e-5)
    np.testing.assert_array_equal(fed.y, Y)


def test_columns_are_scaled_each_by_its_own_numbers() -> None:
    mean, size = X.mean(axis=0), X.std(axis=0)
    fed = preparation(GIVEN, step((X[:5] - mean) / size))(GIVEN)
    assert fed.validation is not None
    np.testing.assert_allclose(fed.x, (X - mean) / size, atol=1e-5)
    np.testing.assert_allclose(fed.validation.x, (X[:5] + 1 - mean) / size, atol=1e-5)


def test_every_input_is_prepared_by_itself() -> None:
    given = Data({"a": X, "b": X[:, :2]}, Y)
    fed = preparation(given, step({"a": X[:5], "b": X[:5, :2] / 255}))(given)
    np.testing.assert_array_equal(fed.x["a"], X)
    np.testing.assert_allclose(fed.x["b"], X[:, :2] / 255, rtol=1e-5)


def test_a_column_that_is_the_same_in_all_samples_shows_no_scale() -> None:
    constant = np.where(np.arange(4) == 2, 7, X)
    given = Data(constant, Y)
    np.testing.assert_array_equal(preparation(given, step(constant[:5] / [1, 2, 3, 4]))(given).x, constant)


def test_inputs_in_another_shape_are_reshaped() -> None:
    np.testing.assert_allclose(
        preparation(GIVEN, step(X[:4].reshape(4, 2, 2, 1)))(GIVEN).x, X.reshape(12, 2, 2, 1), rtol=1e-5
    )


def test_labels_are_fed_one_hot() -> None:
    fed = preparation(GIVEN, step(X[:4], np.eye(3)[Y[:4]]))(GIVEN)
    assert fed.validation is not None
    np.testing.assert_array_equal(fed.y, np.eye(3)[Y])
    np.testing.assert_array_equal(fed.validation.y, np.eye(3)[Y[:5]])


def test_labels_that_are_numbers_are_scaled() -> None:
    given = Data(X, X[:, 0])
    fed = preparation(given, step(X[:4], (X[:4, :1] - 100) / 50))(given)
    np.testing.assert_allclose(fed.y, (X[:, :1] - 100) / 50, atol=1e-5)


@pytest.mark.parametrize(("slope", "shift"), [(1, 0), (2, -1), (-1, 1), (3, 7)])
def test_whole_labels_stay_whole(slope: int, shift: int) -> None:
    bits = np.array([1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0], "float32")
    given = Data(X, bits)
    fed = preparation(given, step(X[:10], slope * bits[:10, None] + shift))(given)
    np.testing.assert_array_equal(fed.y, slope * bits[:, None] + shift)


@pytest.mark.parametrize("transform", [np.log, np.sqrt, lambda y: (y - 90) / 40])
def test_labels_of_a_loss_of_the_loops_own_are_prepared_as_its_gradient_shows(transform: Any) -> None:
    numbers = X[:, :1] + 1
    given = Data(X, numbers)
    fed = preparation(given, of_loss(transform(numbers[:4]), RANDOM.normal(size=(4, 1))))(given)
    np.testing.assert_allclose(fed.y, transform(numbers), rtol=1e-4, atol=1e-4)


def test_classes_of_such_a_loss_are_fed_one_hot() -> None:
    fed = preparation(GIVEN, of_loss(np.eye(3)[Y[:4]], RANDOM.normal(size=(4, 3))))(GIVEN)
    np.testing.assert_array_equal(fed.y, np.eye(3)[Y])


@pytest.mark.parametrize("labels", [np.full((4, 1), 3.0), -(X[:4, :1] + 1) / 50], ids=["constant", "turned around"])
def test_labels_that_the_loss_does_not_follow_stay_as_they_are(labels: Any) -> None:
    given = Data(X, X[:, :1] + 1)
    fed = preparation(given, of_loss(labels, RANDOM.normal(size=(4, 1))))(given)
    np.testing.assert_array_equal(fed.y, given.y)


def test_classes_that_are_renumbered_stay_as_they_are() -> None:
    fed = preparation(GIVEN, of_loss(np.eye(3)[2 - Y[:4]], RANDOM.normal(size=(4, 3))))(GIVEN)
    np.testing.assert_array_equal(fed.y, Y)


def test_labels_of_a_keras_loss_are_transformed() -> None:
    numbers = X[:, :1] + 1
    given = Data(X, numbers)
    np.testing.assert_allclose(
        preparation(given, step(X[:4], np.log(numbers[:4])))(given).y, np.log(numbers), rtol=1e-5
    )


def test_inputs_are_the_labels_of_a_loop_that_takes_them_so() -> None:
    given = Data(X, None, validation=Data(X[:5], None))
    fed = preparation(given, of_loss(X[:4] / 255, RANDOM.normal(size=(4, 4)), inputs=X[:4] / 255))(given)
    assert fed.validation is not None
    np.testing.assert_allclose(fed.y, X / 255, rtol=1e-5)
    np.testing.assert_allclose(fed.validation.y, X[:5] / 255, rtol=1e-5)


@pytest.mark.parametrize("inputs", [X[4:8] / 255, np.sqrt(X[:4]), RANDOM.normal(size=(4, 7)), X[:4].astype(str)])
def test_other_inputs_are_left_as_they_are(inputs: Any) -> None:
    np.testing.assert_array_equal(preparation(GIVEN, step(inputs))(GIVEN).x, X)


@pytest.mark.parametrize(
    ("other", "apart"),
    [
        (X / 255, True),
        (X - 30, False),
        (X + 300, True),
        (X[:5] * 1.5, False),
        (X.astype(str), False),
        (0 * X, False),
    ],
)
def test_sets_are_apart_where_their_values_are(other: Any, apart: bool) -> None:
    assert are_apart(Data(X, Y), Data(other, Y[: len(other)])) is apart
