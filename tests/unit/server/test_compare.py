"""Verdicts on invented accuracies with known answers."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from scipy import stats

from loopbench import spec
from loopbench.spec import ComparisonRequest, Run, RunSpec, RunState, Verdict
from loopbench_server.errors import RunNotFoundError, RunWithoutResultError
from loopbench_server.operations.compare import Group, compare
from loopbench_server.operations.compare_stored import compare_stored
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from tests.support.factories import make_result, make_run

MARGIN, ALPHA = 0.005, 0.05


def run(accuracy: float, seed: int, digest: str, **fields: Any) -> Run:
    final = spec.FinalMetrics(loss=0.1, accuracy=accuracy, correct=round(accuracy * 10_000), samples=10_000)
    reported = spec.ReportedMetrics(loss=0.1, accuracy=accuracy)
    result = make_result(
        dataset=spec.Dataset.MNIST,
        train=final,
        validation=final,
        reported_train=reported,
        reported_validation=reported,
        weights_digest=digest,
    )
    number = f"{digest.encode().hex()}{seed:08x}"[-12:].rjust(12, "0")
    return make_run(
        id=f"00000000-0000-4000-8000-{number}",
        request_id=f"00000000-0000-4000-8001-{number}",
        spec=RunSpec(seed=seed, **fields),
        state=RunState.SUCCEEDED,
        create_time=datetime.now(UTC),
        result=result,
    )


def group(label: str, accuracies: Sequence[float], first_seed: int = 0, digest: str | None = None) -> Group:
    """Runs with consecutive seeds; groups with the same ``digest`` have the same weights."""
    return Group(
        label,
        tuple(run(accuracy, seed, f"{digest or label}{seed}") for seed, accuracy in enumerate(accuracies, first_seed)),
    )


def compare_pair(first: Group, second: Group) -> spec.PairComparison:
    (pair,) = compare([first, second], MARGIN, ALPHA).pairs
    return pair


NEAR = [0.9675, 0.9668, 0.9681, 0.9672, 0.9677]


def test_same_bits_are_identical() -> None:
    pair = compare_pair(group("tape", NEAR, digest="same"), group("fit", NEAR, digest="same"))
    assert (pair.verdict, pair.difference, pair.seeds_needed) == (Verdict.IDENTICAL, 0, None)


def test_one_seed_with_other_bits_is_not_identical() -> None:
    first = group("tape", NEAR, digest="same")
    second = Group("fit", (*first.runs[:4], run(NEAR[4], 4, "other")))
    assert compare_pair(first, second).verdict is Verdict.EQUIVALENT


def test_close_accuracies_are_equivalent() -> None:
    pair = compare_pair(group("tape", NEAR), group("xla", [accuracy + 0.0002 for accuracy in reversed(NEAR)]))
    assert pair.verdict is Verdict.EQUIVALENT
    assert pair.paired
    assert pair.equivalence_p_value is not None
    assert pair.equivalence_p_value < ALPHA


def test_a_loss_ten_times_smaller_is_different() -> None:
    pair = compare_pair(group("sum", NEAR), group("mean", [0.9273, 0.9268, 0.9281, 0.9270, 0.9279]))
    assert pair.verdict is Verdict.DIFFERENT
    # Differences 402, 400, 400, 402, 398 ten-thousandths: mean 400.4.
    assert pair.difference == pytest.approx(0.04004)
    assert pair.interval_low is not None
    assert pair.interval_high is not None
    assert pair.interval_low < 0.04004 < pair.interval_high
    assert pair.effect_size == pytest.approx(0.04004 / 0.000167332, rel=1e-4)


def test_a_certain_difference_within_the_margin_is_equivalent() -> None:
    pair = compare_pair(group("a", NEAR), group("b", [accuracy - 0.001 for accuracy in NEAR]))
    assert pair.verdict is Verdict.EQUIVALENT
    # 55 standard errors: 0.001 over 0.0001 × sqrt(2 / 12 / 5), with four degrees of freedom.
    assert pair.difference_p_value == pytest.approx(2 * stats.t.sf(0.001 / (1e-4 * math.sqrt(2 / 60)), 4), rel=1e-3)


def test_wide_spread_is_inconclusive_and_says_what_would_help() -> None:
    pair = compare_pair(group("a", [0.95, 0.97, 0.96]), group("b", [0.955, 0.95, 0.968]))
    assert pair.verdict is Verdict.INCONCLUSIVE
    assert pair.seeds_needed is not None
    assert pair.seeds_needed > 0
    assert f"{pair.seeds_needed} more seeds" in pair.explanation


def test_an_interval_without_zero_beside_an_open_verdict_is_explained() -> None:
    first, second, noisy = [0.9, 0.9, 0.9], [0.8777, 0.8677, 0.8577], [0.5, 0.9, 0.7]
    groups = [group(label, accuracies) for label, accuracies in zip("abc", (first, second, noisy), strict=True)]
    pair = next(one for one in compare(groups, MARGIN, ALPHA).pairs if one.second_label == "b")
    alone = stats.ttest_rel(first, second).pvalue
    assert alone < ALPHA < 3 * alone
    assert pair.verdict is Verdict.INCONCLUSIVE
    assert pair.interval_low is not None
    assert pair.interval_low > 0
    assert f"; p is {3 * alone:.2g} after Holm's correction for 3 pairs; " in pair.explanation
    others = (one for one in compare(groups, MARGIN, ALPHA).pairs if one != pair)
    assert not any("Holm" in one.explanation for one in others)


def test_other_seeds_are_not_paired() -> None:
    pair = compare_pair(group("a", NEAR), group("b", [0.9273, 0.9268, 0.9281], first_seed=10))
    assert (pair.verdict, pair.paired) == (Verdict.DIFFERENT, False)


@pytest.mark.parametrize(("digest", "verdict"), [("same", Verdict.IDENTICAL), (None, Verdict.INCONCLUSIVE)])
def test_one_seed(digest: str | None, verdict: Verdict) -> None:
    pair = compare_pair(group("a", [0.96], digest=digest), group("b", [0.97], digest=digest))
    assert pair.verdict is verdict
    assert pair.interval_low is None
    assert pair.equivalence_p_value is None


def test_pairs_share_alpha() -> None:
    groups = [
        group("a", NEAR),
        group("b", NEAR[::-1]),
        group("c", [accuracy - 0.04 for accuracy in NEAR[1:] + NEAR[:1]]),
    ]
    alone = [compare_pair(*pair) for pair in ((groups[0], groups[1]), (groups[0], groups[2]), (groups[1], groups[2]))]
    together = compare(groups, MARGIN, ALPHA).pairs
    smallest = min(range(3), key=lambda index: alone[index].difference_p_value or 0)
    assert together[smallest].difference_p_value == pytest.approx(3 * (alone[smallest].difference_p_value or 0))
    assert [pair.verdict for pair in together] == [Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.DIFFERENT]


def test_summary_by_hand() -> None:
    summary = compare([group("a", [0.96, 0.98]), group("b", [0.5])], MARGIN, ALPHA).groups
    assert summary[0].seeds == (0, 1)
    assert summary[0].validation_accuracy_mean == pytest.approx(0.97)
    # Two values 0.01 from their mean: sqrt(2 × 0.0001 / 1).
    assert summary[0].validation_accuracy_sd == pytest.approx(0.0141421356)
    assert summary[1].validation_accuracy_sd is None


@pytest.fixture
def store(tmp_path: Any) -> Any:
    database = open_database(f"sqlite:///{tmp_path / 'runs.db'}")
    made = Store(database, owner="here", lease=timedelta(seconds=30))
    yield made
    made.close()


@pytest.fixture
def store_groups(store: Store) -> Callable[..., ComparisonRequest]:
    """Stores the runs of groups and returns the request to compare them."""

    def ask(**groups: Sequence[Run]) -> ComparisonRequest:
        for runs in groups.values():
            for stored in runs:
                if store.find_request(stored.request_id) is None:
                    store.add(stored)
        named = [{"label": label, "run_ids": [stored.id for stored in runs]} for label, runs in groups.items()]
        return ComparisonRequest.model_validate({"groups": named})

    return ask


def test_stored_runs(store: Store, store_groups: Callable[..., ComparisonRequest]) -> None:
    request = store_groups(a=group("a", NEAR).runs, b=group("b", NEAR[::-1]).runs)
    comparison = compare_stored(store, request)
    upper = [group.model_copy(update={"run_ids": tuple(map(str.upper, group.run_ids))}) for group in request.groups]
    assert compare_stored(store, request.model_copy(update={"groups": tuple(upper)})) == comparison
    assert [pair.verdict for pair in comparison.pairs] == [Verdict.EQUIVALENT]
    assert (comparison.margin, comparison.alpha) == (0.005, 0.05)


def test_invalid_groups_are_refused(store: Store, store_groups: Callable[..., ComparisonRequest]) -> None:
    mixed = [run(0.9, 1, "x"), run(0.9, 2, "y", epochs=3)]
    repeated = [run(0.9, 3, "z"), run(0.9, 3, "w")]
    with pytest.raises(spec.InvalidFieldsError) as caught:
        compare_stored(store, store_groups(mixed=mixed, repeated=repeated))
    assert [(violation.field, violation.description) for violation in caught.value.violations] == [
        ("groups.0.run_ids", "the runs differ in more than their seed"),
        ("groups.1.run_ids", "two runs have the same seed"),
    ]


def test_runs_that_cannot_be_compared(store: Store, store_groups: Callable[..., ComparisonRequest]) -> None:
    failed = run(0.9, 1, "f").model_copy(update={"state": RunState.FAILED, "result": None})
    with pytest.raises(RunWithoutResultError):
        compare_stored(store, store_groups(a=[failed], b=[run(0.9, 1, "g")]))
    absent = {"label": "absent", "run_ids": ["00000000-0000-4000-8000-ffffffffffff"]}
    with pytest.raises(RunNotFoundError):
        compare_stored(store, ComparisonRequest.model_validate({"groups": [absent, absent | {"label": "b"}]}))
    named = {"label": "a", "run_ids": ["x"]}, {"label": "b", "run_ids": ["y"]}
    with pytest.raises(spec.InvalidFieldsError) as caught:
        compare_stored(store, ComparisonRequest.model_validate({"groups": named}))
    assert [violation.field for violation in caught.value.violations] == ["groups.0.run_ids.0", "groups.1.run_ids.0"]


def test_bit_identical_groups_cost_no_significance() -> None:
    """Three groups, two of them identical: one test, so no correction."""
    tape, fit = group("tape", NEAR, digest="same"), group("fit", NEAR, digest="same")
    other = group("other", [0.92, 0.93, 0.925, 0.921, 0.928])
    alone = compare_pair(tape, other)
    pairs = {(pair.first_label, pair.second_label): pair for pair in compare([tape, fit, other], MARGIN, ALPHA).pairs}
    for label in ("tape", "fit"):
        assert pairs[label, "other"].difference_p_value == alone.difference_p_value
    # A fourth group adds two tests.
    four = compare([tape, fit, other, group("fourth", [0.5, 0.6, 0.55, 0.52, 0.58])], MARGIN, ALPHA).pairs
    corrected = {(pair.first_label, pair.second_label): pair.difference_p_value for pair in four}
    assert corrected["tape", "other"] == corrected["fit", "other"]
    assert alone.difference_p_value is not None
    assert (corrected["tape", "other"] or 0) > alone.difference_p_value


def test_runs_are_paired_by_the_seeds_that_both_have() -> None:
    five = group("five", NEAR, digest="same")
    four = Group("four", five.runs[:4])
    pair = compare_pair(five, four)
    assert (pair.verdict, pair.paired, pair.difference) == (Verdict.IDENTICAL, True, 0)
    assert "for all 4 seeds" in pair.explanation
    # Other weights and one more run with a very bad seed: only the four shared seeds count.
    shifted = Group("shifted", (*group("x", [value + 0.001 for value in NEAR[:4]]).runs, run(0.1, 9, "bad")))
    pair = compare_pair(five, shifted)
    assert pair.verdict is Verdict.EQUIVALENT
    assert pair.difference == pytest.approx(-0.001)
