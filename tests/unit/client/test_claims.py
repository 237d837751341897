"""Claims: each is true of some results and false of others."""

from collections.abc import Callable
from typing import Any

import pytest

from loopbench.spec import Comparison, GroupSummary, PairComparison, ReportedMetrics, RunSpec, Verdict
from loopbench_client.comparing import PRESETS, Compared
from loopbench_client.comparing.claims import Claim, Row, check_claims
from loopbench_client.comparing.rules import (
    better_than,
    figure,
    half_a_unit,
    metric_far,
    metric_right,
    overfits_more_than,
    same_as,
    sampled_metric,
    up_to,
)

ARTICLE = PRESETS["article"]

# Train and validation accuracy in percent, and the validation accuracy that the loop reported.
Means = tuple[float, float, float]
Build = Callable[..., Compared]


@pytest.fixture
def results(make_served_run: Any) -> Build:
    """Results of the groups; every pair has this verdict unless another one is given."""

    def build(groups: dict[str, Means], verdicts: dict[tuple[str, str], Verdict] | None = None) -> Compared:
        runs = {}
        for label, (_, _, reported) in groups.items():
            run = make_served_run(RunSpec())
            result = run.result.model_copy(
                update={"reported_validation": ReportedMetrics(loss=1, accuracy=reported / 100)}
            )
            runs[label] = (run.model_copy(update={"result": result}),)
        summaries = tuple(
            GroupSummary(
                label=label,
                run_ids=("r",),
                seeds=(0,),
                train_accuracies=(train / 100,),
                validation_accuracies=(validation / 100,),
                train_accuracy_mean=train / 100,
                validation_accuracy_mean=validation / 100,
            )
            for label, (train, validation, _) in groups.items()
        )
        labels = [*groups]
        pairs = tuple(
            PairComparison(
                first_label=first,
                second_label=second,
                verdict=(verdicts or {}).get((first, second), Verdict.INCONCLUSIVE),
                difference=(groups[first][1] - groups[second][1]) / 100,
                paired=True,
                explanation="",
            )
            for place, first in enumerate(labels)
            for second in labels[place + 1 :]
        )
        comparison = Comparison(groups=summaries, pairs=pairs, margin=0.005, alpha=0.05)
        return Compared(dict.fromkeys(groups, RunSpec()), runs, comparison)

    return build


def verdict_on(claim: Claim, compared: Compared, label: str = "a") -> bool | None:
    (outcome,) = check_claims([Row(label, RunSpec(), "", (claim,))], compared, comparable=True)
    return outcome.holds


@pytest.mark.parametrize(("percent", "half"), [("96.86", 0.005), ("96.9", 0.05), ("96", 0.5)])
def test_half_a_unit_of_the_last_digit(percent: str, half: float) -> None:
    assert half_a_unit(percent) == pytest.approx(half)


@pytest.mark.parametrize(
    ("claim", "figures", "holds"),
    [
        # 0.5 points and half a unit: 96.355 to 97.365, and 95 to 97.
        (figure("train", "96.86"), (97.36, 0, 0), True),
        (figure("train", "96.86"), (97.37, 96.86, 0), False),
        (figure("train", "96.86"), (96.35, 0, 0), False),
        (figure("validation", "96"), (0, 95.01, 0), True),
        (figure("validation", "96"), (96, 97.01, 0), False),
        # 313 batches of 10,000: two standard errors at 91.79 % are 3.1034 points, so 88.1816 to 95.3984.
        (sampled_metric("91.79"), (0, 0, 88.19), True),
        (sampled_metric("91.79"), (0, 0, 88.17), False),
        (sampled_metric("91.79"), (0, 0, 95.41), False),
        (up_to("98"), (0, 97.5, 0), True),
        (up_to("98"), (99, 97.49, 99), False),
        (metric_far(), (0, 96.7, 94.6), True),
        (metric_far(), (0, 96.7, 94.8), False),
        (metric_far(), (0, 96.7, 99.0), False),
        (metric_right(), (0, 96.7, 96.3), True),
        (metric_right(), (0, 96.7, 96.1), False),
        (metric_right(), (0, 96.7, 97.3), False),
    ],
)
def test_claims_about_one_group(claim: Claim, figures: Means, holds: bool, results: Build) -> None:
    assert verdict_on(claim, results({"a": figures, "b": (0, 0, 0)})) is holds


@pytest.mark.parametrize(
    ("claim", "verdict", "above", "holds"),
    [
        (same_as("b"), Verdict.IDENTICAL, 0, True),
        (same_as("b"), Verdict.EQUIVALENT, 0.4, True),
        (same_as("b"), Verdict.INCONCLUSIVE, -0.4, None),
        (same_as("b"), Verdict.DIFFERENT, 0.4, False),
        (same_as("b"), Verdict.DIFFERENT, -0.6, False),
        (better_than("b"), Verdict.DIFFERENT, 0.6, True),
        (better_than("b"), Verdict.DIFFERENT, -0.6, False),
        (better_than("b"), Verdict.EQUIVALENT, 0.1, False),
        (better_than("b"), Verdict.IDENTICAL, 0, False),
        (better_than("b"), Verdict.INCONCLUSIVE, 3, None),
    ],
)
def test_claims_about_two_groups(
    claim: Claim, verdict: Verdict, above: float, holds: bool | None, results: Build
) -> None:
    groups = {"a": (0, 90 + above, 0), "b": (0, 90, 0)}
    for first, second in (("a", "b"), ("b", "a")):
        compared = results({first: groups[first], second: groups[second]}, {(first, second): verdict})
        assert verdict_on(claim, compared) is holds


@pytest.mark.parametrize(("train", "holds"), [(99.6, True), (98.7, True), (98.5, False), (97.8, False)])
def test_overfitting_is_a_gap_that_grows(train: float, holds: bool, results: Build) -> None:
    # The gap of b is 0.4, so that of a has to be more than 0.9: train above 98.6.
    compared = results({"a": (train, 97.7, 0), "b": (97.1, 96.7, 0)})
    assert verdict_on(overfits_more_than("b"), compared) is holds


def test_the_reason_states_the_figures(results: Build) -> None:
    compared = results({"a": (97.1, 96.71, 90.1), "b": (97.1, 96.7, 0)})
    rows = [Row("a", RunSpec(), "his", (figure("train", "96.86"), metric_far(), same_as("b")))]
    train, metric, same = check_claims(rows, compared, comparable=True)
    assert (train.label, train.his_figure, train.claim) == ("a", "his", "train 96.86 %")
    assert train.reason == "97.10 % here, +0.24 points; 0.505 either way are allowed"
    assert metric.reason == "it says 90.10 %, counting 96.71 %: 6.61 points below; far is more than 2"
    assert same.reason == "inconclusive, +0.01 points; the margin is 0.5"


def test_without_results_no_claim_is_checked(results: Build) -> None:
    compared = results({"b": (0, 0, 0), "c": (0, 0, 0)})
    rows = [Row("a", RunSpec(), "", (metric_far(),)), Row("b", RunSpec(), "", (same_as("gone"),))]
    assert [(one.holds, one.reason) for one in check_claims(rows, compared, comparable=True)] == [
        (None, "no results of 'a'"),
        (None, "no results of 'gone'"),
    ]
    nothing = Compared({}, {}, None)
    assert {one.holds for one in check_claims(rows, nothing, comparable=True)} == {None}


def test_other_jobs_are_compared_with_no_published_figure(results: Build) -> None:
    rows = [Row("a", RunSpec(), "", (figure("train", "90"), up_to("98"), sampled_metric("90"), metric_right()))]
    compared = results({"a": (90, 99, 99), "b": (0, 0, 0)})
    assert [one.holds for one in check_claims(rows, compared, comparable=False)] == [None, None, None, True]


# Seed 0, as measured once: train, validation, reported.
MEASURED: dict[str, Means] = {
    "1 tape": (97.15, 96.75, 96.75),
    "2 fit mse": (92.41, 92.73, 92.73),
    "3 fit mse 0.1": (97.16, 96.77, 96.77),
    "4 fit": (97.15, 96.75, 96.75),
    "5 tape mse": (92.41, 92.73, 92.73),
    "6 train_step": (97.15, 96.75, 96.75),
    "7 metric on labels": (97.15, 96.75, 90.73),
    "8 metric on outputs": (97.15, 96.75, 96.75),
    "9 adam": (99.59, 97.80, 97.80),
    "10 tape 0.001": (92.41, 92.74, 92.74),
}


def test_the_article_holds_except_its_last_row(results: Build) -> None:
    alike = [("1 tape", "3 fit mse 0.1"), ("1 tape", "4 fit"), ("2 fit mse", "5 tape mse"), ("1 tape", "6 train_step")]
    verdicts = dict.fromkeys(alike, Verdict.EQUIVALENT)
    compared = results(MEASURED, {**verdicts, ("6 train_step", "9 adam"): Verdict.DIFFERENT})
    outcomes = [*check_claims(ARTICLE.rows, compared, comparable=True)]
    assert {outcome.label for outcome in outcomes} == MEASURED.keys()
    assert [(one.label, one.claim) for one in outcomes if not one.holds] == [("10 tape 0.001", "up to 98 %")]


def test_the_article_would_not_hold_of_other_results(results: Build) -> None:
    mirrored = {label: (150 - train, 150 - validation, 57.0) for label, (train, validation, _) in MEASURED.items()}
    mirrored |= {"1 tape": (0, 0, 0), "2 fit mse": (0, 0, 0), "7 metric on labels": (60, 56, 56)}
    compared = results(mirrored, {("6 train_step", "9 adam"): Verdict.DIFFERENT})
    outcomes = [*check_claims(ARTICLE.rows, compared, comparable=True)]
    assert [outcome for outcome in outcomes if outcome.holds] == []
