"""Interventions, each on its own: what loops are given, and what they draw."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose.data import Data
from loopbench_diagnose.interventions import COLUMN_LABELS, EQUAL_LABELS, EQUAL_NOISE, UNIT_WEIGHTS

X = np.arange(8, dtype=np.float32).reshape(4, 2)
DRAWN: dict[str, Callable[[], Any]] = {
    "normal": lambda: tf.random.normal((4, 3)),
    "uniform": lambda: tf.random.uniform((4, 3)),
    "truncated": lambda: tf.random.truncated_normal((4, 3)),
    "stateless": lambda: tf.random.stateless_normal((4, 3), seed=(1, 2)),
    "generator": lambda: tf.random.Generator.from_seed(1).normal((4, 3)),
    "NumPy's normal": lambda: np.random.normal(size=(4, 3)),  # noqa: NPY002  as people write it
    "NumPy's randn": lambda: np.random.randn(4, 3),  # noqa: NPY002
    "NumPy's generator": lambda: np.random.default_rng(1).standard_normal((4, 3)),
    "NumPy's generator, uniform": lambda: np.random.default_rng(1).uniform(size=(4, 3)),
}


@pytest.mark.parametrize("intervention", [EQUAL_LABELS, COLUMN_LABELS])
def test_data_without_labels_stays_without(intervention: Any) -> None:
    changed = intervention.data(Data(X))
    assert changed.y is None
    np.testing.assert_array_equal(changed.x, X)


def test_all_samples_get_the_label_of_the_first() -> None:
    changed = EQUAL_LABELS.data(Data(X, {"a": np.array([3, 1, 2, 0]), "b": X + 5}))
    np.testing.assert_array_equal(changed.y["a"], [3, 3, 3, 3])
    np.testing.assert_array_equal(changed.y["b"], [[5, 6]] * 4)


def test_weights_of_1_take_the_place_of_weights() -> None:
    weights = {"a": np.array([3.0, 1.0, 2.0, 0.5], np.float32), "b": None}
    changed = UNIT_WEIGHTS.data(Data(X, X, sample_weight=weights, class_weight={0: 0.5, 7: 4.0}))
    np.testing.assert_array_equal(changed.sample_weight["a"], np.ones(4, np.float32))
    assert changed.sample_weight["b"] is None
    assert changed.class_weight == {0: 1.0, 7: 1.0}


def test_data_without_weights_stays_without() -> None:
    changed = UNIT_WEIGHTS.data(Data(X, X))
    assert (changed.sample_weight, changed.class_weight) == (None, None)


@pytest.mark.parametrize("name", DRAWN)
def test_all_samples_get_the_same_noise(name: str) -> None:
    with EQUAL_NOISE.patches():
        within = np.asarray(DRAWN[name]())
    assert within.shape == (4, 3)
    assert (within == within[0]).all()
    assert len(set(within[0])) == 3
    assert len(np.unique(DRAWN[name](), axis=0)) == 4


def test_a_number_that_is_drawn_stays_a_number() -> None:
    with EQUAL_NOISE.patches():
        drawn = np.random.default_rng(1).normal()
    assert np.ndim(drawn) == 0
