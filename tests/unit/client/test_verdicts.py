"""Verdicts in the printed table."""

from itertools import combinations

import pytest

from loopbench.spec import Comparison, GroupSummary, PairComparison, Verdict
from loopbench_client.cli.verdicts import identical, print_verdicts

FIGURES = {"train_accuracies": (), "validation_accuracies": (), "train_accuracy_mean": 0, "validation_accuracy_mean": 0}


ALIKE = "(+N): this group and N more that are identical to it, bit for bit"


def comparison(
    accuracies: dict[str, float], bits: dict[str, str] | None = None, below: float = 1, p_value: float | None = None
) -> Comparison:
    """Groups with these accuracies in percent; groups with the same bits are identical, all others different.

    Intervals reach from ``below`` under the difference to 1 above.
    """
    bits = bits or {}
    pairs = [
        PairComparison(
            first_label=first,
            second_label=second,
            verdict=Verdict.IDENTICAL if bits.get(first, first) == bits.get(second, second) else Verdict.DIFFERENT,
            difference=(accuracies[first] - accuracies[second]) / 100,
            interval_low=(accuracies[first] - accuracies[second] - below) / 100,
            interval_high=(accuracies[first] - accuracies[second] + 1) / 100,
            difference_p_value=p_value,
            seeds_needed=None,
            paired=True,
            explanation="Because.",
        )
        for first, second in combinations(accuracies, 2)
    ]
    groups = tuple(GroupSummary(label=label, run_ids=(), seeds=(), **FIGURES) for label in accuracies)
    return Comparison(groups=groups, pairs=tuple(pairs), margin=0.005, alpha=0.05)


def test_a_few_pairs_are_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    print_verdicts(comparison({"a": 1, "b": 2, "c": 3}))
    assert capsys.readouterr().out.splitlines() == [
        "a and b: different. Because.",
        "a and c: different. Because.",
        "b and c: different. Because.",
    ]


def test_identical_groups_are_one_line() -> None:
    found = comparison({"a": 1, "b": 2, "c": 1, "d": 2, "e": 1}, {"c": "a", "d": "b", "e": "a"})
    assert identical(found) == {"a": ("a", "c", "e"), "b": ("b", "d")}


def printed(found: Comparison, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_verdicts(found)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_pairs_that_say_the_same_of_identical_groups_have_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(comparison({"a": 90, "b": 80, "c": 90, "d": 85}, {"c": "a"}), capsys) == [
        "identical, bit for bit: a, c",
        "first second verdict points 95 % interval p more seeds",
        "a (+1) b different +10.00 +9.00 to +11.00",
        "a (+1) d different +5.00 +4.00 to +6.00",
        "b d different -5.00 -6.00 to -4.00",
        ALIKE,
    ]


def test_pairs_that_do_not_say_the_same_have_each_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    # b is the farther one of a and b, and c of b and c.
    assert printed(comparison({"a": 90, "b": 80, "c": 90, "d": 90}, dict.fromkeys("cd", "a"), below=3), capsys)[2:] == [
        "a (+2) b different +10.00 +7.00 to +11.00",
        "a (+2) b different +10.00 +9.00 to +13.00",
        ALIKE,
    ]


@pytest.mark.parametrize(("p_value", "shown"), [(0.0812, "0.081"), (0.00009, "< 0.0001"), (1.0, "1")])
def test_corrected_p_values_have_an_explanation(p_value: float, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    *_, row, note = printed(comparison({"a": 90, "b": 80, "c": 70, "d": 60}, p_value=p_value), capsys)
    assert row == f"c d different +10.00 +9.00 to +11.00 {shown}"
    assert note.startswith("p: of the difference, with Holm's correction for the number of pairs; below 0.05 ")


def test_identical_groups_alone_need_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    same = comparison(dict.fromkeys("abcd", 90), dict.fromkeys("abcd", "same"))
    assert printed(same, capsys) == ["identical, bit for bit: a, b, c, d"]
