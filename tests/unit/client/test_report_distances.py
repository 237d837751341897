"""Weight distances of a report, from sketches that are written out by hand."""

from typing import Any

import pytest

from loopbench.spec import Cnn, Method
from loopbench_client.report import Report
from loopbench_client.report.distances import distances, run_distances
from loopbench_client.report.marks import marks
from tests.support.reports import SKETCH, make_group, make_report, make_sketched, sketched_report


@pytest.fixture
def report() -> Report:
    return sketched_report()


def test_a_distance_is_relative_to_the_first_group_under_the_same_seed(report: Report) -> None:
    found = distances(report, marks(report.runs))
    assert {mark.label: [(one.epoch, one.low, one.mean, one.high) for one in line] for mark, line in found.items()} == {
        "fit": [(1, *[pytest.approx(0.1)] * 3), (2, *map(pytest.approx, (0.2, 0.3, 0.4)))],
        "step": [(1, 0, 0, 0), (2, 0, 0, 0)],
    }


def test_the_page_draws_them_and_states_the_error(report: Report, written: Any) -> None:
    page = written(report)
    assert "Weight distance" in page.text
    assert "relative standard error of about 18" in page.text
    assert "fit, epoch 2: 0.3 (0.2 to 0.4)" in page.text
    assert "step, epoch 2: 0" in page.text
    assert page.row("fit 2").endswith(" 0.3 (0.2 to 0.4)")
    assert page.row("tape 2").endswith(" –")


def test_there_are_none_without_comparable_sketches(written: Any) -> None:
    tape, fit = (make_group(method, (0.9,)) for method in (Method.GRADIENT_TAPE, Method.FIT))
    assert "Weight distance" not in written(make_report({"tape": tape, "fit": fit})).text
    one, other = make_sketched(tape[0], SKETCH, SKETCH), make_sketched(fit[0], SKETCH, SKETCH, network=Cnn())
    assert [*run_distances(one, other)] == []
    older = make_group(Method.FIT, (0.9,))[0]
    assert [*run_distances(one, older)] == []
