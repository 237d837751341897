"""The fit of a loss: gradients that are worked out by hand have to name it."""

from typing import Any

import numpy as np
import pytest

from loopbench_diagnose.losses import BROADCAST, as_outputs, identify
from loopbench_diagnose.trace import OutputGradient

GENERATOR = np.random.default_rng(3)
VALUES = GENERATOR.normal(size=(12, 3))
NUMBERS = GENERATOR.normal(size=(12, 3))
CLASSES = GENERATOR.integers(0, 3, 12)
HOT = np.eye(3)[CLASSES]


def softmax(z: Any) -> Any:
    exponents = np.exp(z - z.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def given(gradient: Any, values: Any = VALUES, *, of_logits: bool = False) -> OutputGradient:
    return OutputGradient(values, np.asarray(gradient, np.float64), of_logits)


PROBABILITIES = softmax(VALUES)
SMOOTH = 0.9 * HOT + 0.1 / 3
# Labels, the gradient of the outputs as derived by hand, and what it has to be named.
GRADIENTS: dict[str, tuple[Any, OutputGradient, str]] = {
    "squares": (NUMBERS, given(2 * (VALUES - NUMBERS) / 36), "mean_squared_error"),
    "absolute": (NUMBERS, given(np.sign(VALUES - NUMBERS) / 36), "mean_absolute_error"),
    "log of cosh": (NUMBERS, given(np.tanh(VALUES - NUMBERS) / 36), "log_cosh"),
    "huber": (NUMBERS, given(np.clip(VALUES - NUMBERS, -1, 1) / 36), "huber"),
    "classes of logits": (CLASSES, given((PROBABILITIES - HOT) / 12), "categorical_crossentropy"),
    "one-hot of logits": (HOT, given((PROBABILITIES - HOT) / 12, of_logits=True), "categorical_crossentropy"),
    "smoothed": (CLASSES, given((PROBABILITIES - SMOOTH) / 12), "categorical_crossentropy(label_smoothing=0.1)"),
    "yes or no": (HOT, given((1 / (1 + np.exp(-VALUES)) - HOT) / 36), "binary_crossentropy"),
    "of probabilities": (HOT, given(-HOT / PROBABILITIES / 12, PROBABILITIES), "categorical_crossentropy"),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_loss_is_named(name: str) -> None:
    labels, gradient, expected = GRADIENTS[name]
    fit = identify(labels, gradient)
    assert fit is not None
    assert fit.fits
    assert (fit.name, fit.labels) == (expected, "")


def test_an_activation_before_a_loss_that_applies_it_again() -> None:
    """The chain rule through softmax p of z, and crossentropy of softmax(p): dz = p · (d - Σ p · d), d = q - y."""
    again = softmax(PROBABILITIES) - HOT
    mean = (PROBABILITIES * again).sum(axis=1, keepdims=True)
    fit = identify(CLASSES, given(PROBABILITIES * (again - mean) / 12))
    assert fit is not None
    assert fit.fits
    assert fit.twice == "softmax"


def test_a_gradient_without_a_part_of_the_outputs() -> None:
    """It is linear in the labels alone, as that of a sum of products of labels and outputs."""
    fit = identify(NUMBERS, given(-0.3 * NUMBERS + 0.1))
    assert fit is not None
    assert not fit.fits


def test_a_divergence_of_classes_is_named_crossentropy() -> None:
    """Both have the gradient -y / p."""
    fit = identify(CLASSES, given(-HOT / (PROBABILITIES + 1e-7) / 12, PROBABILITIES))
    assert fit is not None
    assert fit.name == "categorical_crossentropy"


@pytest.mark.parametrize("labels", [NUMBERS, CLASSES])
def test_an_output_without_a_gradient_fits_no_loss(labels: Any) -> None:
    """A loop may leave out the loss of an output."""
    fit = identify(labels, given(np.zeros((12, 3))))
    assert fit is None or not fit.fits


def test_labels_that_are_broadcast() -> None:
    """The mean of 12 · 12 squares: every output against all labels."""
    outputs, labels = VALUES[:, :1], NUMBERS[:, :1]
    fit = identify(labels, given(2 * (outputs - labels.mean()) / 12, outputs))
    assert fit is not None
    assert fit.fits
    assert (fit.name, fit.labels) == ("mean_squared_error", BROADCAST)


def test_the_scale_of_a_loss() -> None:
    """A sum over 36 values, where the mean has a gradient that is 36 times as small."""
    mean = identify(NUMBERS, given(2 * (VALUES - NUMBERS) / 36))
    total = identify(NUMBERS, given(2 * (VALUES - NUMBERS)))
    assert mean is not None
    assert total is not None
    assert total.scale / mean.scale == pytest.approx(36)


def test_labels_that_are_scaled_and_shifted() -> None:
    fit = identify(NUMBERS, given(2 * (VALUES - (0.25 * NUMBERS + 3)) / 36))
    assert fit is not None
    np.testing.assert_allclose([fit.slope, fit.shift], [0.25, 3])
    assert fit is not None
    assert fit.fits
    assert (fit.name, fit.labels) == ("mean_squared_error", "0.25 · labels +3")


def test_classes_that_are_renumbered() -> None:
    hot = np.eye(3)[(CLASSES + 1) % 3]
    fit = identify(CLASSES, given((PROBABILITIES - hot) / 12))
    assert fit is not None
    assert fit.fits
    assert fit.labels == "labels +1, modulo 3"


def test_positions_without_a_gradient() -> None:
    mask = np.array([1, 0] * 6)[:, None]
    fit = identify(CLASSES, given(mask * (PROBABILITIES - HOT) / 6))
    assert fit is not None
    assert fit.fits
    assert fit.covered == 0.5


def test_noise_is_no_loss() -> None:
    fit = identify(NUMBERS, given(GENERATOR.normal(size=(12, 3))))
    assert fit is None or not fit.fits


@pytest.mark.parametrize(
    ("labels", "values", "shape"),
    [
        (CLASSES, VALUES, (12, 3)),
        (CLASSES[:, None], VALUES, (12, 3)),
        (NUMBERS[:, 0], VALUES[:, :1], (12, 1)),
        (HOT, VALUES, (12, 3)),
    ],
)
def test_labels_in_the_shape_of_outputs(labels: Any, values: Any, shape: tuple[int, ...]) -> None:
    made = as_outputs(labels, values)
    assert made is not None
    assert made.shape == shape


@pytest.mark.parametrize("labels", [CLASSES + 5, np.array(["a"] * 12), NUMBERS[:, 0]])
def test_labels_that_do_not_fit(labels: Any) -> None:
    assert as_outputs(labels, VALUES) is None
