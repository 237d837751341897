"""Findings without experiments: what a diagnosis makes of them."""

import itertools

import pytest

from loopbench.spec import Cause, Effect
from loopbench_diagnose.findings import Findings

CODE = """in user code:

    File "step.py", line 3, in train_step  *
        return tf.add_n(self.losses)

    ValueError: Inputs must be an iterable.
"""

FOUND = [
    ("LARGE_TRAINING", Effect.TRAINING, 0.5),
    ("SMALL_TRAINING", Effect.TRAINING, 0.1),
    ("REPORT", Effect.REPORT, 0.9),
    ("ROUNDING", Effect.ROUNDING, 1.0),
]


@pytest.mark.parametrize("order", [*itertools.permutations(range(len(FOUND)))])
def test_the_strongest_cause_comes_first(order: tuple[int, ...]) -> None:
    findings = Findings()
    for place in order:
        reason, effect, size = FOUND[place]
        findings.cause(Cause(reason=reason, title="t", evidence=(), consequence="e", fix="f"), effect, size)
    diagnosis = findings.diagnosis()
    assert [cause.reason for cause in diagnosis.causes] == ["LARGE_TRAINING", "SMALL_TRAINING", "REPORT"]
    assert [cause.reason for cause in diagnosis.rounding] == ["ROUNDING"]


@pytest.mark.parametrize(
    ("message", "stated"),
    [("no labels\nin two lines", "no labels"), (CODE, "Inputs must be an iterable."), ("", "")],
    ids=["lines", "tf.function", "nothing"],
)
def test_a_failed_experiment_says_why(message: str, stated: str) -> None:
    findings = Findings()
    findings.not_tested("masks", ValueError(message))
    assert findings.diagnosis().not_tested == (f"masks: not tested because ValueError was raised: {stated}",)
