import pytest

from benchmarks.figures import ratios, spread


def test_spread_by_hand() -> None:
    found = spread([4.0, 1.0, 3.0, 2.0])
    assert (found.median, found.low, found.high, found.count) == (2.5, 1.0, 4.0, 4)


def test_ratios_are_taken_round_by_round() -> None:
    # 2 / 1, 9 / 3 and 8 / 2; the ratio of the medians would be 8 / 2 as well, and that of the extremes another.
    found = ratios([2.0, 9.0, 8.0], [1.0, 3.0, 2.0])
    assert (found.median, found.low, found.high) == (3.0, 2.0, 4.0)


def test_ratios_need_as_many_rounds_of_either() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])
