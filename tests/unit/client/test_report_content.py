"""A report shows the given figures; expected texts are computed by hand."""

import re
from collections.abc import Callable

from loopbench.spec import Comparison, Evidence, Method, Replay, ReportedMetrics, RunSpec, Verdict
from loopbench_client.report import Report
from loopbench_client.report.specifications import changes
from tests.support.pages import Page
from tests.support.reports import (
    ENVIRONMENT,
    ClaimOutcome,
    make_diagnosis,
    make_group,
    make_report,
    many_groups,
    two_groups,
    whole_report,
)

MINUS = "\N{MINUS SIGN}"

Written = Callable[[Report], Page]


def test_figures_are_those_given(written: Written) -> None:
    page = written(make_report(two_groups()))
    # 89, 90 and 91 %: the mean is 90, the standard deviation 1. The loop reports 0.1 less.
    final, reported = "90.00 ± 1.00 %", "89.90 %"
    words = page.row("1 tape").split()
    assert " ".join(words[-14:]) == f"{final} {final} {reported} {reported} 64 2.50"
    assert "0 to 2" in page.row("1 tape")
    assert page.row(f"tape {MINUS} fit") == f"tape {MINUS} fit -5.00, -6.00 to -4.00 -5.00 -6.00 to -4.00"
    assert page.row("tape seed 0: 89.00 %") == ("tape seed 0: 89.00 % seed 1: 90.00 % seed 2: 91.00 % 90.00 ± 1.00 %")
    assert "2 groups, 1 pair, compared 2026-01-02 03:04 UTC" in page.text


def test_reported_accuracy_is_shown_where_it_differs(written: Written) -> None:
    honest = make_group(Method.FIT, (0.9, 0.9), reported_validation=ReportedMetrics(loss=0.1, accuracy=0.9))
    page = written(make_report({"honest": honest, "other": two_groups()["tape"]}))
    assert page.row("1 honest").endswith("90.00 ± 0.00 % 89.90 % as final 64 2.50")


def test_curves_say_mean_and_range(written: Written) -> None:
    page = written(make_report(two_groups()))
    # 0.4 for the first seed, a tenth more for each other.
    assert "tape, epoch 1: 0.44 (0.4 to 0.48)" in page.text
    assert "fit, epoch 2: 94.90 % (93.90 % to 95.90 %)" in page.text
    assert page.row("tape 1 0.44 (0.4 to 0.48) 0.88 (0.8 to 0.96)")


def test_ratios_of_causes_are_bars_from_one(written: Written) -> None:
    diagnosis = make_diagnosis()
    ratios = {"gradient_ratio/kernel": 0.1, "gradient_ratio/bias": 1.0, "loss_ratio": 10.0, "ratio": 3.0}
    measured = tuple(Evidence(name=n, description=n, expected=1, observed=r) for n, r in ratios.items())
    cause = diagnosis.causes[0].model_copy(update={"evidence": measured})
    alone = diagnosis.model_copy(update={"causes": (cause,), "replay": Replay()})
    page = written(make_report(two_groups(), diagnoses={("tape", "fit"): alone}))
    bars = [svg["class"] for svg in page.all("svg") if "bar" in (svg.get("class") or "").split()]
    assert bars == ["bar off", "bar", "bar off"]
    # One axis from 0.1 to 10, whose middle is 1: a tenth reaches to the left as far as ten to the right.
    places = [(rect["x"], rect["width"]) for rect in page.all("rect") if rect.get("height") == "10"]
    assert places == [("0%", "50%"), ("50%", "0.8%"), ("50%", "50%")]


def test_the_replay_of_a_pair_has_the_labels_of_its_groups(written: Written) -> None:
    page = written(make_report(two_groups(), diagnoses={("tape", "fit"): make_diagnosis()}))
    assert (
        "Distance between the weights of tape and fit after each update, relative to how far tape moved." in page.text
    )
    assert "first difference: layer outputs" in page.text
    rows = [page.row(start) for start in ("dense/kernel", "dense/bias", "3. dropout", "Metric ", "loss ", "2 1e-05")]
    assert rows == [
        "dense/kernel 32",
        "dense/bias fit only",
        "3. dropout first that differs 0.41",
        "Metric tape fit",
        "loss 0.6931 22.18 differs",
        "2 1e-05 32 | 16 1 0.05 0.5 | 16",
    ]


def test_a_diagnosis_without_a_replay_has_no_empty_pictures(written: Written) -> None:
    bare = make_diagnosis().model_copy(update={"replay": Replay()})
    page = written(make_report(two_groups(), diagnoses={("tape", "fit"): bare}))
    assert not [details for details in page.all("details") if details.get("class") == "replay"]


def test_a_diverged_group_breaks_nothing(written: Written) -> None:
    nan, inf = float("nan"), float("inf")
    groups = two_groups() | {"diverged": make_group(Method.FIT, (0.1, 0.1), losses=(0.5, nan))}
    groups |= {"lost": make_group(Method.FIT, (0.1, 0.1), losses=(nan, nan))}
    groups |= {"far": make_group(Method.FIT, (0.1, 0.1), losses=(1e300, inf))}
    page = written(make_report(groups))
    assert not re.search(r'(?:d|x|y|cx|x1|width)="[^"]*(?:nan|inf)', page.source, re.IGNORECASE)
    assert "Not finite at some epoch, and not drawn there: diverged, lost, far." in page.text
    assert "diverged 2 not finite not finite" in page.row("diverged 2")
    # The same NaN are the same bits, so identical is no success here.
    assert "5 far diverged: 2 of 2 seeds" in page.text
    assert page.text.count(" of 2 seeds") == len(("diverged", "lost", "far"))


def test_every_pair_is_in_the_matrix_and_has_a_sentence(written: Written) -> None:
    page = written(make_report(many_groups(10), Verdict.IDENTICAL))
    cells = [link for link in page.all("a") if "cell" in (link.get("class") or "")]
    assert len(cells) == 90
    assert len({cell["href"] for cell in cells}) == 45
    assert page.text.count("Of group") == 45
    assert "45 = identical" in page.text
    # A long list of sentences is folded.
    sentences = [attributes for attributes in page.all("details") if attributes.get("class") != "pair"]
    assert not any("open" in attributes for attributes in sentences)


def test_two_groups_need_no_matrix(written: Written) -> None:
    page = written(make_report(two_groups()))
    assert "Every pair" not in page.text
    assert "tape and fit: Of tape and fit." in page.text


def test_one_seed_has_no_interval(written: Written) -> None:
    groups = {"a": make_group(Method.FIT, (0.9,)), "b": make_group(Method.GRADIENT_TAPE, (0.91,))}
    page = written(make_report(groups, Verdict.INCONCLUSIVE))
    assert page.row(f"a {MINUS} b").endswith("one seed: none")
    assert "90.00 % 90.00 %" in page.row("1 a")


def test_no_comparison_is_a_page_too(written: Written) -> None:
    empty = Comparison(groups=(), pairs=(), margin=0.005, alpha=0.05)
    page = written(make_report({}, comparison=empty, failures=("all of them failed",)))
    assert "all of them failed" in page.text


def test_groups_say_what_they_share_and_what_sets_them_apart(written: Written) -> None:
    page = written(make_report(two_groups()))
    assert "All groups share: loss sum-of-squares dataset digits epochs 2" in page.text
    assert page.row("1 tape").startswith("1 tape method gradient-tape 0 to 2")


def test_causes_name_the_group_at_fault_and_the_fix(written: Written) -> None:
    page = written(whole_report())
    assert "At fault fit Effect smaller Fix sum" in page.text
    assert "Changes that remove these differences fit: loss: mean-squared-error → sum-of-squares" in page.text
    assert "ratio a ratio 1 10" in page.row("ratio")
    assert "repeated the same twice NaN" in page.row("repeated")
    assert "first is tape, second fit. = identical tape and fit: Of tape and fit." in page.text


def test_a_difference_within_rounding_is_no_cause(written: Written) -> None:
    compiled = make_diagnosis().causes[0].model_copy(update={"reason": "XLA", "title": "Only the second is compiled"})
    specs = {"second": RunSpec(execution="XLA"), "fixed_second": RunSpec(execution="GRAPH")}
    found = make_diagnosis().model_copy(update={"causes": (), "rounding": (compiled,), **specs})
    page = written(make_report(two_groups(), diagnoses={("tape", "fit"): found}))
    assert "tape and fit Both sides agree: no difference above rounding was found." in page.text
    assert "Differences within rounding, which are no causes Only the second is compiled XLA" in page.text
    assert "Changes that remove these differences fit: execution: xla → graph" in page.text


def test_claims_stand_beside_what_was_found(written: Written) -> None:
    claims = [ClaimOutcome(holds=holds) for holds in (True, False, None)]
    page = written(make_report(two_groups(), claims=claims))
    expected = "tape validation 93 % 92 % / 93 % 90.00 % / 90.00 %"
    rows = [row for row in page.rows if row.startswith(expected)]
    outcomes = ("holds", "does not hold", "not decided")
    assert rows == [f"{expected} {outcome} 90.00 % here" for outcome in outcomes]


def test_a_claim_on_a_group_without_results_is_shown(written: Written) -> None:
    page = written(make_report(two_groups(), claims=[ClaimOutcome(label="gone", holds=None)]))
    assert page.row("gone") == "gone validation 93 % 92 % / 93 % not decided 90.00 % here"


def test_environments_that_differ_are_named(written: Written) -> None:
    other = ENVIRONMENT.model_copy(update={"threads": 2, "source_revision": ""})
    groups = two_groups() | {"other": make_group(Method.FIT, (0.9, 0.9), environment=other)}
    page = written(make_report(groups))
    who = "tape, seeds 0, 1, 2; fit, seeds 0, 1, 2"
    assert page.row("threads of a run") == f"threads of a run ≠ runs differ 1 {who} 2 other, seeds 0, 1"
    assert page.row("source revision") == f"source revision ≠ runs differ abc {who} not known other, seeds 0, 1"
    assert page.row("keras") == "keras 3.15.1"


def test_digests_are_whole(written: Written) -> None:
    page = written(make_report(two_groups()))
    assert page.row("fit 2 run-fit-2") == f"fit 2 run-fit-2 {2:064x} {'b' * 64}"


def test_runs_show_their_names_and_labels(written: Written) -> None:
    groups = two_groups()
    named = groups["tape"][0].model_copy(update={"name": "<b>ase", "labels": {"study": "7", "owner": "me"}})
    page = written(make_report({**groups, "tape": (named, *groups["tape"][1:])}))
    assert f"{named.id} <b>ase owner=me study=7" in page.text


def test_a_fix_may_set_what_the_other_leaves_at_its_default() -> None:
    before = RunSpec()
    after = before.model_copy(update={"optimizer": before.optimizer.model_copy(update={"clipnorm": 1.0})})
    assert changes(before, after) == ("clipnorm: default → 1.0",)
    assert changes(None, after) == ()
