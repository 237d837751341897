"""``assert_same_training`` around a diagnosis that a stand-in makes."""

from typing import Any

import pytest

from loopbench_diagnose import assert_same_training, assertions
from loopbench_diagnose.diagnosis import Diagnosis
from tests.support.loop_diagnoses import make_diagnosis


def answering(monkeypatch: pytest.MonkeyPatch, diagnosis: Diagnosis) -> list[Any]:
    calls: list[Any] = []

    def diagnose(*given: Any, **options: Any) -> Diagnosis:
        calls.append((given, options))
        return diagnosis

    monkeypatch.setattr(assertions, "diagnose", diagnose)
    return calls


def test_the_causes_are_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answering(monkeypatch, make_diagnosis())
    with pytest.raises(AssertionError) as caught:
        assert_same_training("model", "data", "first", "second", samples=99, seed=3)  # type: ignore[arg-type]  # passed on
    assert str(caught.value) == make_diagnosis().describe()
    assert str(caught.value).startswith("The second loss, and with it every gradient, is 32 times the first: ")
    assert calls == [(("model", "data", "first", "second"), {"samples": 99, "seed": 3})]


def test_differences_within_rounding_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, make_diagnosis().model_copy(update={"causes": (), "not_tested": ()}))
    assert_same_training("model", "data", "first", "second")  # type: ignore[arg-type]  # passed on


def test_experiments_that_failed_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = "masks: not tested because ValueError was raised: no labels"
    answering(monkeypatch, make_diagnosis().model_copy(update={"causes": (), "not_tested": (failed,)}))
    with pytest.warns(UserWarning, match=f"incomplete:\n{failed}") as warned:
        assert_same_training("model", "data", "first", "second")  # type: ignore[arg-type]  # passed on
    assert warned[0].filename == __file__
