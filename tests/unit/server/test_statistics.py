import math
from itertools import combinations

import numpy as np
import pytest

from loopbench_server.operations.statistics import Difference, holm, paired, seeds_that_decide, unpaired


def t_above(t: float) -> float:
    """Upper tail of Student's t with four degrees of freedom in closed form."""
    share = t / math.sqrt(1 + t**2 / 4)
    return 0.5 - 3 / 8 * share * (1 - t**2 / (12 * (1 + t**2 / 4)))


# Far below every spread in these tests.
STEP = 1e-9

# Differences 1 to 5: mean 3, variance (4 + 1 + 0 + 1 + 4) / 4 = 2.5, standard error sqrt(2.5 / 5).
FIRST, SECOND = [11.0, 13.0, 17.0, 12.0, 25.0], [10.0, 11.0, 14.0, 8.0, 20.0]
ERROR = math.sqrt(0.5)


def test_paired_by_hand() -> None:
    found = paired(FIRST, SECOND, STEP)
    assert found.mean == pytest.approx(3)
    assert found.error == pytest.approx(ERROR)
    assert found.freedom == 4
    assert found.effect_size == pytest.approx(3 / math.sqrt(2.5))
    assert found.difference_p_value() == pytest.approx(2 * t_above(3 / ERROR))
    # A margin of 4: 7 above the lower bound, 1 below the upper.
    assert found.equivalence_p_value(4) == pytest.approx(t_above(1 / ERROR))
    # A margin of 2 does not even hold the mean.
    assert found.equivalence_p_value(2) == pytest.approx(1 - t_above(1 / ERROR))
    assert found.interval(0.05) == pytest.approx((3 - 2.776445 * ERROR, 3 + 2.776445 * ERROR), rel=1e-6)


def test_unpaired_by_hand() -> None:
    # Variances 1 and 20/3; over 3 and 4 samples 1/3 and 5/3, together 2; Welch: 2² / ((1/3)²/2 + (5/3)²/3).
    found = unpaired([1, 2, 3], [2, 4, 6, 8], STEP)
    assert found.mean == pytest.approx(-3)
    assert found.error == pytest.approx(math.sqrt(2))
    assert found.freedom == pytest.approx(4 / ((1 / 9) / 2 + (25 / 9) / 3))
    # Pooled variance: (2 × 1 + 3 × 20/3) / 5.
    assert found.effect_size == pytest.approx(-3 / math.sqrt(22 / 5))


def test_equal_differences_are_as_uncertain_as_counting() -> None:
    """Two accuracies of 100 samples each are off by up to half a sample: 0.01 / sqrt(12) each, over three seeds."""
    found = paired([0.92, 0.82, 0.72], [0.9, 0.8, 0.7], 0.01)
    assert found.effect_size is None
    assert found.error == pytest.approx(0.01 * math.sqrt(2 / 12 / 3))
    assert unpaired([0.9, 0.9], [0.8, 0.8, 0.8], 0.01).error == pytest.approx(0.01 * math.sqrt((1 / 2 + 1 / 3) / 12))


def test_counting_alone_seldom_makes_a_difference() -> None:
    """Ten groups of one true accuracy, counted on 359 samples: the chance of a false verdict stays below alpha."""
    generator, alarms, trials = np.random.default_rng(0), 0, 200
    for _ in range(trials):
        counts = np.round(generator.normal(337, 1.4, (10, 2))) / 359
        p_values = [paired(one, other, 1 / 359).difference_p_value() for one, other in combinations(counts, 2)]
        alarms += min(holm(p_values)) < 0.05
    assert alarms / trials < 0.05


def test_holm_by_hand() -> None:
    # Sorted: 3 × 0.01, 2 × 0.03, 1 × 0.04, and never less than the one before.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


def test_seeds_for_a_medium_effect_are_those_of_the_tables() -> None:
    # Cohen (1988) and G*Power: a paired test of d = 0.5 at 0.05 two-sided needs 34 pairs for a power of 0.8.
    found = Difference(mean=0.5, error=1 / math.sqrt(10), freedom=9, deviation=1)
    assert seeds_that_decide(found, 10, margin=0.01, alpha=0.05) == 34 - 10


def test_no_number_of_seeds_is_enough() -> None:
    # At the margin itself neither test can win within a thousand seeds.
    found = Difference(mean=0.005, error=0.2, freedom=4, deviation=0.2 * math.sqrt(5))
    assert seeds_that_decide(found, 5, margin=0.005, alpha=0.05) is None
