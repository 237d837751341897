"""Findings without experiments: what a diagnosis makes of them."""

import itertools

import pytest

from loopbench.spec import Cause
from loopbench_diagnose.findings import Findings, Severity

FOUND = [
    ("LARGE_TRAINING", Severity.TRAINING, 0.5),
    ("SMALL_TRAINING", Severity.TRAINING, 0.1),
    ("REPORT", Severity.REPORT, 0.9),
    ("ROUNDING", Severity.ROUNDING, 1.0),
]


@pytest.mark.parametrize("order", [*itertools.permutations(range(len(FOUND)))])
def test_the_strongest_cause_comes_first(order: tuple[int, ...]) -> None:
    findings = Findings()
    for place in order:
        reason, severity, size = FOUND[place]
        findings.cause(Cause(reason=reason, title="t", evidence=(), effect="e", fix="f"), severity, size)
    assert [cause.reason for cause in findings.diagnosis().causes] == [reason for reason, _, _ in FOUND]
