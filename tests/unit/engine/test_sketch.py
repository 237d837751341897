"""The sketch of the weights: what it estimates, how well, and that every machine makes the same one."""

import hashlib
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from loopbench.spec import Dataset, Execution, Method, RunSpec
from loopbench_server.engine.sketch import DECIMALS, SUMS, sketch
from loopbench_server.engine.training import train
from loopbench_server.worker_config import WorkerConfig

SHAPES = ((784, 256), (256,), (256, 10), (10,))


def draw(random: np.random.Generator, scale: float = 1.0) -> list[NDArray[np.float32]]:
    return [(scale * random.normal(size=shape)).astype(np.float32) for shape in SHAPES]


def test_a_sum_takes_the_weights_of_its_code_with_their_sign() -> None:
    weights = np.arange(1, 11, dtype=np.float32)
    expected = [0.0] * SUMS
    for code, weight in zip(hashlib.shake_256(b"loopbench weights sketch").digest(10), weights, strict=True):
        number, minus = code % SUMS, code % (2 * SUMS) >= SUMS
        expected[number] += -float(weight) if minus else float(weight)
    assert sketch([weights[:4].reshape(2, 2), weights[4:]]) == tuple(expected)


def test_one_changed_bit_changes_the_sketch() -> None:
    weights = draw(np.random.default_rng(0), 0.05)
    before = sketch(weights)
    assert sketch(weights) == before
    weights[0][3, 5] = np.nextafter(weights[0][3, 5], np.float32(1))
    assert sketch(weights) != before


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 1.0])
def test_the_distance_has_the_stated_error(scale: float) -> None:
    """The mean of fifty estimates has a seventh of the error of one; four times that is the tolerance."""
    random = np.random.default_rng(1)
    weights = [array.astype(np.float64) for array in draw(random)]
    before = sketch(weights)
    ratios = []
    for _ in range(50):
        difference = [scale * random.normal(size=shape) for shape in SHAPES]
        exact = math.sqrt(sum(float((array**2).sum()) for array in difference))
        after = sketch([a + b for a, b in zip(weights, difference, strict=True)])
        ratios.append(math.dist(before, after) / exact)
    error = 1 / math.sqrt(2 * SUMS)
    assert np.mean(ratios) == pytest.approx(1, abs=4 * error / math.sqrt(50))
    assert 0.6 * error < np.std(ratios) < 1.5 * error


def test_weights_that_are_not_finite_have_a_sketch() -> None:
    found = sketch([np.array([np.nan, np.inf, -np.inf], np.float32)])
    assert len(found) == SUMS
    assert not all(map(math.isfinite, found))


def test_methods_with_the_same_bits_have_the_same_sketches() -> None:
    spec = RunSpec(dataset=Dataset.DIGITS, epochs=2)
    runs = [spec, spec.model_copy(update={"method": Method.FIT}), spec.model_copy(update={"execution": Execution.XLA})]
    tape, fit, xla = (train(one, WorkerConfig())[0].history for one in runs)
    assert [epoch.weights_sketch for epoch in tape] == [epoch.weights_sketch for epoch in fit]
    assert len({epoch.weights_sketch for epoch in tape}) == 2
    # XLA ends within rounding of GRAPH, whose distance the sketch still measures.
    distance = math.dist(tape[1].weights_sketch, xla[1].weights_sketch)
    assert 10**-DECIMALS < distance / math.hypot(*tape[1].weights_sketch) < 1e-4
