"""A diagnosis as text."""

from typing import Any

import pytest

from loopbench.spec import Cause, Comparison, Diagnosis, Effect, Evidence, PairComparison, Replay, Verdict
from loopbench.text import Context, answer, describe, figure

MEASURED = (
    Evidence(name="gradient_ratio", description="Second over first.", expected=1.0, observed=0.1),
    Evidence(name="note", description="A note."),
)
REPLAY = Replay(compared=("2 epochs, 10 updates.",), not_compared=("Initial weights were made equal.",))


def cause(**fields: Any) -> Cause:
    known = {"reason": "LOSS_REDUCTION", "title": "The loss is a tenth", "consequence": "Slower.", "fix": "Sum it up."}
    return Cause(**{**known, "evidence": (), **fields})


def diagnosis(*causes: Cause, **fields: Any) -> Diagnosis:
    return Diagnosis(causes=causes, controls=MEASURED[:1], **fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "The loss is a tenth: sum it up."),
        ({"fix": "Sum it up. Then train again."}, "The loss is a tenth: sum it up."),
        ({"title": "Rates: 0.1 and 0.01"}, "Rates: 0.1 and 0.01; sum it up."),
        ({"fix": "Name the class: Accuracy."}, "The loss is a tenth; name the class: Accuracy."),
        ({"title": "A tenth.", "fix": "XLA on both sides"}, "A tenth: XLA on both sides."),
        ({"fix": "Divide by 0.5 and not by 2."}, "The loss is a tenth: divide by 0.5 and not by 2."),
        ({"fix": ""}, "The loss is a tenth."),
    ],
)
def test_the_answer_is_the_strongest_cause_with_its_fix(fields: dict[str, str], sentence: str) -> None:
    found = diagnosis(cause(**fields), cause(reason="LAST_BATCH"))
    assert answer(found) == sentence
    assert describe(found).splitlines()[0] == sentence


def test_causes_follow_with_their_evidence() -> None:
    pair = PairComparison(
        first_label="first",
        second_label="second, fixed",
        verdict=Verdict.IDENTICAL,
        difference=0,
        paired=True,
        explanation="The same bits.",
    )
    verification = Comparison(groups=(), pairs=(pair,), margin=0.005, alpha=0.05)
    rounding = cause(reason="XLA", title="Compiled", effect=Effect.ROUNDING, evidence=MEASURED)
    found = diagnosis(
        cause(evidence=MEASURED),
        cause(reason="LAST_BATCH", effect=Effect.REPORT),
        cause(reason="METRIC", effect=Effect.REPORT),
        rounding=(rounding,),
        not_tested=("Order: not tested because a loop raised ZeroDivisionError.",),
        verification=verification,
    )
    assert describe(found).splitlines() == [
        "The loss is a tenth: sum it up.",
        "",
        "This is the strongest of 3 causes: 1 changes the trained weights, 2 change only reported metrics.",
        "",
        "1. The loss is a tenth  [LOSS_REDUCTION]",
        "   effect (training): Slower.",
        "   fix: Sum it up.",
        "     Second over first.  (expected 1, observed 0.1)",
        "     A note.",
        "",
        "2. The loss is a tenth  [LAST_BATCH]",
        "   effect (report): Slower.",
        "   fix: Sum it up.",
        "",
        "3. The loss is a tenth  [METRIC]",
        "   effect (report): Slower.",
        "   fix: Sum it up.",
        "",
        "Differences within rounding, which are no causes:",
        "  Compiled  [XLA]",
        "",
        "Not tested:",
        "  Order: not tested because a loop raised ZeroDivisionError.",
        "",
        "With the fix:",
        "  first and second, fixed: identical. The same bits.",
    ]


def test_agreement_is_listed_only_on_request() -> None:
    brief, verbose = (describe(diagnosis(cause(), replay=REPLAY), verbose=verbose) for verbose in (False, True))
    assert "No difference in" not in brief
    assert verbose.splitlines()[-6:] == [
        "Scope:",
        "  2 epochs, 10 updates.",
        "  Initial weights were made equal.",
        "",
        "No difference in:",
        "  Second over first.  (expected 1, observed 0.1)",
    ]


def test_without_a_cause_the_text_lists_the_comparisons() -> None:
    assert describe(diagnosis(replay=REPLAY)).splitlines() == [
        "Both sides agree: no difference above rounding was found.",
        "",
        "Scope:",
        "  2 epochs, 10 updates.",
        "  Initial weights were made equal.",
    ]


def test_failed_experiments_without_a_cause_are_no_agreement() -> None:
    failed = ("repeat: not tested because ValueError was raised: no.",)
    incomplete = "The comparison is incomplete: experiments failed, and the others found no difference above rounding."
    assert answer(diagnosis(not_tested=failed)) == incomplete
    assert answer(diagnosis(cause(), not_tested=failed)) == "The loss is a tenth: sum it up."
    assert answer(diagnosis(not_tested=failed), Context(agreed="None.", incomplete="None of some.")) == "None of some."


def test_a_program_alone_has_notes_and_code() -> None:
    context = Context(notes=("It is compile and fit.",), configuration="model.compile()\nmodel.fit()\n", agreed="None.")
    assert describe(diagnosis(), context=context).splitlines() == [
        "None.",
        "",
        "Notes, which are no causes:",
        "  It is compile and fit.",
        "",
        "The program as stock training:",
        "  model.compile()",
        "  model.fit()",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.1, "0.1"), (1234567.0, "1.23457e+06"), (float("nan"), "NaN"), (float("-inf"), "-inf")],
)
def test_every_number_has_a_text(value: float | None, text: str) -> None:
    assert figure(value) == text
