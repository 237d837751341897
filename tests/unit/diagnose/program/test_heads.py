"""Losses, activations and labels against each other."""

import keras
import numpy as np
import pytest

from loopbench_diagnose.program.heads import STANDARD, SUITED, Loss, loss_of
from loopbench_diagnose.program.remedies.head import unreachable


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("mse", Loss("mean_squared_error")),
        (keras.losses.BinaryCrossentropy(from_logits=True), Loss("binary_crossentropy", from_logits=True)),
        (keras.losses.categorical_crossentropy, Loss("categorical_crossentropy")),
        (["sparse_categorical_crossentropy"], Loss("sparse_categorical_crossentropy")),
        (None, None),
        ({"a": "mse", "b": "mae"}, None),
    ],
)
def test_losses_are_known_by_their_function(given: object, found: Loss | None) -> None:
    assert loss_of(given) == found


def test_standard_losses_suit_their_labels_and_are_losses_of_keras() -> None:
    for kind, (activation, loss) in STANDARD.items():
        assert loss.name in SUITED[kind]
        assert loss.needs in {None, activation}
        assert loss_of(loss.made()) == loss


LABELS = np.linspace(-1, 3, 401)


@pytest.mark.parametrize(
    ("output", "units", "part"),
    [
        # Half the spread below, a quarter of the width: the integral of squares left over that of the whole.
        ("relu", 1, (1 / 3) / (4**3 / 12)),
        ("sigmoid", 1, (1 / 3 + 8 / 3) / (4**3 / 12)),
        ("tanh", 1, (8 / 3) / (4**3 / 12)),
        # The softmax of one unit is 1, here the labels' mean.
        ("softmax", 1, 1.0),
        ("linear", 1, 0.0),
        ("of the user", 1, 0.0),
    ],
)
def test_activations_leave_labels_out_of_reach(output: str, units: int, part: float) -> None:
    assert unreachable(output, LABELS, units) == pytest.approx(part, abs=0.02)
