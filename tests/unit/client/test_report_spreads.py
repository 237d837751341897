"""Epochs of a curve that have a marker in the report."""

import itertools

import pytest

from loopbench_client.report.spreads import MOST_POINTS, Spread, shown


@pytest.mark.parametrize("epochs", [1, MOST_POINTS, MOST_POINTS + 1, 2 * MOST_POINTS + 1, 1_000])
def test_the_last_epoch_is_marked(epochs: int) -> None:
    marked = [spread.epoch for spread in shown(Spread(epoch, 0.5, 0.5, 0.5) for epoch in range(1, epochs + 1))]
    assert marked[-1] == epochs
    assert len(marked) <= MOST_POINTS
    assert len({after - before for before, after in itertools.pairwise(marked)}) <= 1
