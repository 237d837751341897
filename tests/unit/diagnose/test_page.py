"""The page of a diagnosis: all sections, nothing that is not escaped, and bars and lines where they belong."""

import re
from pathlib import Path
from typing import Any

import pytest

from loopbench.page.html import Html, element
from loopbench.page.pictures import MOST_ROWS
from loopbench.spec import Cause, Effect, Evidence, FirstDifference, LayerRecord, Replay, Side
from loopbench_diagnose.diagnosis import Diagnosis, describe
from tests.support.loop_diagnoses import make_diagnosis
from tests.support.pages import Page
from tests.support.replays import make_metric, make_replay, make_update, make_variable

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script></style>&amp;"


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(make_diagnosis().save(tmp_path / "made" / "report.html"))


def test_only_elements_are_markup() -> None:
    assert element("p", "a < b", Html("<b>"), None, title='"&"', hidden=True, lang=None, class_="c") == (
        '<p title="&quot;&amp;&quot;" hidden class="c">a &lt; b<b></p>'
    )
    assert element("br") == "<br>"


def test_the_answer_comes_first_and_every_section_follows(page: Page) -> None:
    assert page.all("h1") == [{"class": "answer differs"}]
    order = [
        "is 32 times the first: use the mean over the batch.",
        "This is the strongest of 2 causes",
        "1. The second loss",
        "LOSS_REDUCTION",
        "2. What the second side reports",
        "Weight distance over updates",
        "Gradient ratios",
        "Layers in order",
        "Metrics side by side",
        "Differences within rounding",
        "Not tested",
        "Scope",
        "No difference in 1 measurement",
    ]
    places = [page.text.index(words) for words in order]
    assert places == sorted(places)


def test_the_first_layer_that_differs_is_marked(page: Page) -> None:
    assert page.row("3. dropout") == "3. dropout first that differs 0.41"
    assert [row for row in page.rows if "first that differs" in row] == [page.row("3. dropout")]
    assert page.row("4. head") == "4. head one side only"


def test_gradient_ratios_are_bars_from_one(page: Page) -> None:
    assert page.row("dense/kernel") == "dense/kernel 32"
    assert page.row("dense/bias") == "dense/bias second only"
    bars = [attributes for attributes in page.all("svg") if str(attributes["class"]).startswith("bar")]
    # One variable has no ratio, two layers no difference: their bars are empty, and there is one bar a row. The ratio
    # that is evidence of the cause has a bar, too, and so has the same among the controls.
    assert len(bars) == 2 + 4 + 2
    assert len(page.all("rect")) == 1 + 2 + 2


def test_metrics_are_side_by_side(page: Page) -> None:
    assert [page.row(name) for name in ("loss 0.6931", "accuracy", "val_auc")] == [
        "loss 0.6931 22.18 differs",
        "accuracy 0.91 0.91 agrees",
        "val_auc – 0.88 one side only",
    ]


def test_a_metric_of_different_weights_does_not_agree(tmp_path: Path) -> None:
    replay = Replay(metrics=(make_metric("loss", 0.83, 0.74, agrees=True),))
    page = Page(Diagnosis(causes=(), controls=(), replay=replay).save(tmp_path / "report.html"))
    assert page.row("loss") == "loss 0.83 0.74 differs with the weights"


def test_distances_are_a_line_with_the_first_difference(page: Page) -> None:
    assert len(page.all("circle")) == 3
    (line,) = [path["d"] for path in page.all("path")]
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", str(line).replace(" L", "L"))]
    assert heights == sorted(heights, reverse=True)
    assert "first difference: layer outputs" in page.text
    assert page.row("2 ") == "2 1e-05 32 | 16 1 0.05 0.5 | 16"


def test_nothing_is_loaded_and_nothing_runs(page: Page) -> None:
    assert page.all("script") == []
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert any("default-src 'none'" in str(meta.get("content")) for meta in page.all("meta"))


def hostile() -> Diagnosis:
    word = HOSTILE
    cause = Cause(
        reason=word,
        title=word,
        evidence=(Evidence(name=word, description=word, observed=float("nan")),),
        consequence=word,
        fix=word,
        side=Side.FIRST,
        effect=Effect.STATE,
    )
    replay = Replay(
        updates=(make_update(1, float("inf")),),
        variables=(make_variable(word, -1.0),),
        layers=(LayerRecord(name=word, difference=1.0),),
        first_differing_layer=word,
        metrics=(make_metric(word, float("nan"), 1.0),),
        first_difference=FirstDifference(update=1, place=word, text=word),
        compared=(word,),
        not_compared=(word,),
    )
    return Diagnosis(causes=(cause,), controls=cause.evidence, rounding=(cause,), not_tested=(word,), replay=replay)


def test_every_word_is_escaped(tmp_path: Path) -> None:
    page = Page(hostile().save(tmp_path / "report.html"))
    assert page.all("img") == page.all("script") == []
    assert HOSTILE not in page.source
    # Title and answer, term by term, and each name of the pictures.
    assert page.text.count(HOSTILE) > 15


def test_a_diagnosis_without_replay_or_causes_has_no_empty_sections(tmp_path: Path) -> None:
    page = Page(Diagnosis(causes=(), controls=()).save(tmp_path / "report.html"))
    assert page.all("h1") == [{"class": "answer agrees"}]
    assert page.all("h2") == page.all("table") == []


@pytest.mark.parametrize(("alone", "kind"), [(False, "differs"), (True, "agrees")])
def test_failed_experiments_on_two_sides_are_no_agreement(tmp_path: Path, *, alone: bool, kind: str) -> None:
    found = Diagnosis(causes=(), controls=(), not_tested=("loss: not tested.",), alone=alone)
    assert Page(found.save(tmp_path / "report.html")).all("h1") == [{"class": f"answer {kind}"}]


def test_a_program_alone_shows_notes_and_its_configuration(tmp_path: Path) -> None:
    replay = Replay(metrics=(make_metric("loss", 0.5, 0.6),))
    found = Diagnosis(
        causes=(), controls=(), alone=True, notes=(HOSTILE,), configuration="model.fit(x, y)\n", replay=replay
    )
    page = Page(found.save(tmp_path / "report.html"))
    places = [page.text.index(words) for words in ("No fault was found", HOSTILE, "model.fit(x, y)")]
    assert places == sorted(places)
    assert len(page.all("pre")) == 1
    assert page.rows[0] == "Metric Stock training Loop"


def test_a_long_table_ends_with_a_count(tmp_path: Path) -> None:
    layers = tuple(LayerRecord(name=f"layer_{number}", difference=0.0) for number in range(MOST_ROWS + 5))
    page = Page(Diagnosis(causes=(), controls=(), replay=Replay(layers=layers)).save(tmp_path / "report.html"))
    assert len(page.rows) == MOST_ROWS + 1
    assert "5 more layers are not shown." in page.text
    assert "The outputs of all layers agree." in page.text


def test_a_notebook_shows_the_same_content_with_its_style() -> None:
    shown = make_diagnosis()._repr_html_()
    assert shown.startswith("<style>")
    assert "<html" not in shown
    # Every rule is confined to the diagnosis, or the rest of the notebook would change.
    style = shown[len("<style>") : shown.index("</style>")]
    selectors = re.findall(r"^\s*([^@\s{}][^{}]*?)\s*\{", style, re.MULTILINE)
    assert selectors
    assert all(
        part.strip().startswith((".loopbench-diagnosis", ".loopbench-page"))
        for selector in selectors
        for part in selector.split(",")
    )


def test_words_of_the_library_say_what_was_compared() -> None:
    agreed: Any = Diagnosis(causes=(), controls=(), replay=make_replay())
    assert str(agreed) == describe(agreed) == agreed.describe()
    assert "Initial weights were made equal." in agreed.describe()
