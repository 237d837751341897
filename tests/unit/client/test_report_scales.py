"""The axes of a report."""

import math

import pytest

from loopbench.page.axes import MOST_TICKS, Scale, above_zero, linear, logarithmic, loss_scale, whole
from loopbench.text import figure
from loopbench_client.report.words import mean, percent


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.93, 0.97], (0.93, 0.94, 0.95, 0.96, 0.97)),
        ([0.2, 1.0], (0.2, 0.4, 0.6, 0.8, 1.0)),
        ([-0.005, 0.042], (-0.01, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05)),
        ([], (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        ([math.nan, 0.0, 1.0, math.inf], (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
    ],
)
def test_linear_axes_have_round_figures(values: list[float], ticks: tuple[float, ...]) -> None:
    scale = linear(values)
    assert scale.ticks == pytest.approx(ticks)
    assert (scale.at(ticks[0]), scale.at(ticks[-1])) == pytest.approx((0, 1))
    assert scale.at((ticks[0] + ticks[-1]) / 2) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.03, 0.7], (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)),
        ([0.1, 0.1], (0.1, 0.2)),
        ([0.003, 40.0], (0.01, 0.1, 1.0, 10.0)),
        ([1e-9, 1e9], (1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9)),
    ],
)
def test_logarithmic_axes_have_round_figures(values: list[float], ticks: tuple[float, ...]) -> None:
    assert logarithmic(values).ticks == pytest.approx(ticks)


def test_factors_are_distances_on_a_logarithmic_axis() -> None:
    scale = logarithmic([0.01, 1.0])
    assert (scale.at(0.01), scale.at(0.1), scale.at(1.0)) == pytest.approx((0, 0.5, 1))


@pytest.mark.parametrize(
    ("epochs", "ticks"),
    [((1, 1), (1,)), ((1, 5), (1, 2, 3, 4, 5)), ((1, 20), (1, 5, 10, 15, 20)), ((11, 20), (11, 12, 14, 16, 18, 20))],
)
def test_epochs_are_whole(epochs: tuple[int, int], ticks: tuple[int, ...]) -> None:
    scale = whole(*epochs)
    assert scale.ticks == ticks
    assert 0 < scale.at(epochs[0]) <= scale.at(epochs[1]) < 1


def test_a_distance_of_zero_is_below_all_others() -> None:
    scale = above_zero([0.0, 0.01, 0.5])
    assert scale.ticks == pytest.approx((0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5))
    assert scale.at(0) == 0 < scale.at(0.01) < scale.at(0.5) == 1
    assert above_zero([0.01, 0.5]) == logarithmic([0.01, 0.5])
    assert above_zero([0.0]).at(0) == 0


def test_a_loss_of_zero_has_no_place_on_a_logarithmic_axis() -> None:
    assert loss_scale([0.1, 1.0]).logarithmic
    assert not loss_scale([0.0, 1.0]).logarithmic


@pytest.mark.parametrize("make", [linear, logarithmic])
@pytest.mark.parametrize("values", [[5e-324], [1.7e308], [5e-324, 1.7e308], [1e300, 1e308], [0.5, 0.5 + 1e-12]])
def test_diverged_values_have_an_axis(make: type[Scale], values: list[float]) -> None:
    scale = make(values)  # type: ignore[call-arg,arg-type]  # both are functions of values
    assert 1 <= len(scale.ticks) <= MOST_TICKS + 2
    assert all(0 <= scale.at(value) <= 1 for value in values)


def test_axes_accept_any_figures() -> None:
    assert [figure(value) for value in (math.nan, math.inf, -math.inf, None, 1e-9)] == [
        "NaN",
        "+inf",
        "-inf",
        "",
        "1e-09",
    ]
    assert percent(math.nan) == "NaN"
    assert mean([1e308, 1.5e308]) == pytest.approx(1.25e308)
    assert math.isnan(mean([]))
