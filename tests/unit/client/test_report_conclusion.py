"""The report begins with the result in one sentence; the sentences are written by hand."""

import itertools
from typing import Any

from loopbench.spec import Comparison, Diagnosis, Method, PairComparison, Verdict
from loopbench_client.report import Report
from loopbench_client.report.conclusion import conclusion
from tests.support.reports import make_diagnosis, make_group, make_report, many_groups, two_groups


def three(*verdicts: Verdict, **fields: Any) -> Report:
    """The pairs of a, b and c have these verdicts; b is 5 points better than a, and c as good as a."""
    groups = {
        "a": make_group(Method.FIT, (0.90, 0.90)),
        "b": make_group(Method.FIT, (0.95, 0.95)),
        "c": make_group(Method.FIT, (0.90, 0.90)),
    }
    report = make_report(groups, **fields)
    pairs = zip(report.comparison.pairs, verdicts, strict=True)
    return with_pairs(report, *(pair.model_copy(update={"verdict": verdict}) for pair, verdict in pairs))


def with_pairs(report: Report, *pairs: PairComparison) -> Report:
    comparison: Comparison = report.comparison.model_copy(update={"pairs": pairs})
    return Report(**{**report.__dict__, "comparison": comparison})


def test_groups_that_are_identical() -> None:
    assert conclusion(make_report(many_groups(10), Verdict.IDENTICAL)) == (
        "All 10 groups end in the same weights, bit for bit."
    )


def test_groups_that_are_equivalent() -> None:
    assert conclusion(make_report(two_groups(), Verdict.EQUIVALENT)) == (
        "All validation accuracies are within 0.5 points of each other."
    )


def test_the_largest_difference_has_its_cause() -> None:
    found: dict[tuple[str, str], Diagnosis | str] = {("a", "b"): make_diagnosis()}
    report = three(Verdict.DIFFERENT, Verdict.IDENTICAL, Verdict.DIFFERENT, diagnoses=found)
    assert conclusion(report) == (
        "“a” and “c” end in the same weights, bit for bit, and “a” is 5.00 points worse than “b” on validation "
        "(2 pairs differ): a mean."
    )


def test_the_pair_is_named_in_its_order() -> None:
    tape, fit = two_groups().values()
    assert conclusion(make_report({"fit": fit, "tape": tape})) == (
        "“fit” is 5.00 points better than “tape” on validation."
    )


def test_a_difference_without_a_diagnosis() -> None:
    found = {("tape", "fit"): "not diagnosed: no slot"}
    assert conclusion(make_report(two_groups(), diagnoses=found)) == (
        "“tape” is 5.00 points worse than “fit” on validation."
    )


def test_pairs_that_the_runs_do_not_decide() -> None:
    report = three(Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)
    assert conclusion(report) == (
        "1 of 3 pairs is equivalent within 0.5 points, and the runs do not decide 2 of 3 pairs."
    )


def test_groups_that_diverged() -> None:
    report = three(Verdict.DIVERGED, Verdict.DIVERGED, Verdict.DIVERGED)
    groups = tuple(
        group.model_copy(update={"diverged_seeds": (0,)}) if group.label != "c" else group
        for group in report.comparison.groups
    )
    comparison = report.comparison.model_copy(update={"groups": groups})
    assert conclusion(Report(**{**report.__dict__, "comparison": comparison})) == (
        "“a” and “b” diverged, which is no evidence."
    )


def test_chains_of_identical_pairs_are_one_cluster_and_long_lists_are_cut() -> None:
    report = make_report(many_groups(7), Verdict.INCONCLUSIVE)
    labels = [f"group {number} with quite a long name" for number in range(1, 7)]
    chain = {*itertools.pairwise(labels)}
    pairs = [
        pair.model_copy(update={"verdict": Verdict.IDENTICAL})
        if (pair.first_label, pair.second_label) in chain
        else pair
        for pair in report.comparison.pairs
    ]
    shown = ", ".join(f"“{label}”" for label in labels[:3])
    assert conclusion(with_pairs(report, *pairs)) == (
        f"{shown} and 3 others end in the same weights, bit for bit, and the runs do not decide 16 of 21 pairs."
    )


def test_a_single_group_has_no_conclusion() -> None:
    assert conclusion(make_report({"one": make_group(Method.FIT, (0.9,))})) == ""
