"""The report in a real browser: its appearance and its use."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from loopbench.spec import Evidence, Method, Replay
from loopbench_client.report import Report, write_report
from tests.support.browser import POOR_CONTRAST
from tests.support.reports import (
    make_diagnosis,
    make_group,
    make_report,
    many_groups,
    sketched_report,
    two_groups,
    whole_report,
)
from tests.support.servers import eventually

LONG = "a-label-without-a-single-space-that-is-as-long-as-labels-may-be-" * 3


def diverged() -> Report:
    return make_report(two_groups() | {"diverged": make_group(Method.FIT, (0.1, 0.1), losses=(float("nan"),) * 2)})


REPORTS: dict[str, Callable[[], Report]] = {
    "two groups": lambda: make_report(two_groups()),
    "every section": whole_report,
    "ten groups": lambda: make_report(many_groups(10)),
    "diverged": diverged,
    "long words": lambda: whole_report(LONG),
    "hostile words": lambda: whole_report("<img src=http://127.0.0.1:9/x onerror=alert(1)><script>alert(2)</script>"),
}

# Both checks are needed: a shape in a hidden group counts as visible, and folded content has a box.
VISIBLE = """
return [...document.querySelectorAll("{}")].filter(
  element => element.checkVisibility() && element.getClientRects().length > 0).length;
"""


@pytest.fixture(params=REPORTS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_report(tmp_path, REPORTS[request.param]())


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    return write_report(tmp_path, make_report(many_groups(10)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 390, 1200])
def test_page_is_valid_on_every_screen(browser: Any, path: Path, width: int, scheme: str) -> None:
    browser.show(path, width=width, scheme=scheme)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [path.as_uri()]
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(POOR_CONTRAST) == [True, True]


def visible(browser: Any, selector: str) -> int:
    """Number of visible elements."""
    return int(browser.run(VISIBLE.format(selector)))


def press(browser: Any, selector: str, key: str) -> None:
    """Presses a key on the focused element."""
    element = browser.driver.find_element(By.CSS_SELECTOR, selector)
    browser.driver.execute_script("arguments[0].focus()", element)
    browser.driver.switch_to.active_element.send_keys(key)


def test_charts_are_drawn(browser: Any, ten: Path) -> None:
    browser.show(ten)
    # Four charts of ten lines each, one per group; the view of the second half is hidden.
    assert [visible(browser, f".chart{part}") for part in ("", " .line", " .band")] == [4, 40, 40]
    size = browser.run("const box = document.querySelector('.chart .line').getBBox(); return [box.width, box.height]")
    assert min(size) > 100
    assert [visible(browser, f".plot .{part}") for part in ("seed", "interval")] == [20, 45]


def test_the_fifth_chart_shows_how_far_weights_are_apart(browser: Any, tmp_path: Path) -> None:
    browser.show(write_report(tmp_path, sketched_report()))
    assert visible(browser, ".curves .chart") == 5
    chart = "[...document.querySelectorAll('.curves figure')][4]"
    assert browser.run(f"return {chart}.querySelector('h3').textContent") == "Weight distance"
    places = browser.run(f"""
        const middle = shape => (shape.getBoundingClientRect().top + shape.getBoundingClientRect().bottom) / 2;
        const middles = selector => [...{chart}.querySelectorAll(selector)].map(middle);
        return {{
          fit: middles(".g2 .marker"), step: middles(".g3 .marker"), zero: Math.max(...middles("text.y"))}}""")
    # The second group moves away; the third has the weights of the first, and stays at the axis's lower end.
    near, far = places["fit"]
    assert far < near - 10
    assert near < places["zero"] - 10
    assert places["step"] == pytest.approx([places["zero"]] * 2, abs=3)
    press(browser, "#show-2", Keys.SPACE)
    assert browser.run(f"return {chart}.querySelector('.g2 .line').getClientRects().length") == 0


@pytest.mark.parametrize("width", [390, 1200])
def test_ratios_of_gradients_are_bars_beside_whole_names(browser: Any, tmp_path: Path, width: int) -> None:
    diagnosis = make_diagnosis()
    measured = {"gradient_ratio/network/hidden_1/kernel": 0.1, "gradient_ratio/network/outputs/bias": 10.0}
    evidence = [Evidence(name=n, description=n, expected=1, observed=ratio) for n, ratio in measured.items()]
    evidence += [Evidence(name="gradient_ratio_spread", description="Spread.", expected=0, observed=1.51005e-07)]
    cause = diagnosis.causes[0].model_copy(update={"evidence": tuple(evidence)})
    report = make_report(
        two_groups(), diagnoses={("tape", "fit"): diagnosis.model_copy(update={"causes": (cause,), "replay": Replay()})}
    )
    browser.show(write_report(tmp_path, report), width=width)
    rows = browser.run("""
        return [...document.querySelectorAll("article tbody tr")].map(row => {
          const bar = row.querySelector("rect"), one = row.querySelector("line.one");
          const box = shape => shape.getBoundingClientRect();
          return {lines: row.querySelector("code").getClientRects().length, width: bar ? box(bar).width : 0,
                  side: bar ? Math.sign(box(bar).left + box(bar).width / 2 - box(one).left) : 0,
                  inside: [...row.querySelectorAll("td")].every(cell => box(cell).right <= innerWidth)}})""")
    assert [row["lines"] for row in rows] == [1, 1, 1]
    assert [row["side"] for row in rows] == [-1, 1, 0]
    assert min(row["width"] for row in rows[:2]) > 50
    assert all(row["inside"] for row in rows)


def test_figures_of_an_axis_do_not_overlap(browser: Any, ten: Path) -> None:
    for width in (375, 1200):
        browser.show(ten, width=width)
        overlaps = browser.run("""
            const boxes = [...document.querySelectorAll(".axis, .chart")].filter(e => e.checkVisibility()).map(
              axis => [...axis.querySelectorAll("text")].map(text => text.getBoundingClientRect()));
            const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
            return boxes.flatMap(axis => axis.flatMap((a, i) => axis.slice(i + 1).filter(b => meet(a, b)))).length""")
        assert overlaps == 0


def test_dark_is_dark_and_follows_the_scheme(browser: Any, ten: Path) -> None:
    browser.show(ten, scheme="light")
    look = """
        const part = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
        return [part("body", "backgroundColor"), part("body", "color"), part(".chart .line", "stroke")]"""
    light = browser.run(look)
    browser.set_media("dark")
    dark = browser.run(look)
    assert light[0] == "rgb(255, 255, 255)"
    assert all(int(part) < 40 for part in dark[0].strip("rgb()").split(", "))
    assert all(before != after for before, after in zip(light, dark, strict=True))


def test_details_open_by_keyboard(browser: Any, ten: Path) -> None:
    browser.show(ten)
    for selector in (".curves > details", "#digests + details"):
        assert visible(browser, f"{selector} table") == 0
        press(browser, f"{selector} > summary", Keys.ENTER)
        assert visible(browser, f"{selector} table") == 1


def test_a_cell_of_the_matrix_leads_to_its_folded_sentence(browser: Any, ten: Path) -> None:
    browser.show(ten)
    assert visible(browser, "#pair-45") == 0
    press(browser, "[href='#pair-45']", Keys.ENTER)
    assert visible(browser, "#pair-45") == 1


def test_a_verdict_leads_to_its_causes(browser: Any, tmp_path: Path) -> None:
    browser.show(write_report(tmp_path, whole_report()))
    press(browser, "[href='#causes-1']", Keys.ENTER)
    assert browser.run("return document.querySelector(':target').id") == "causes-1"
    assert browser.run("const top = document.querySelector(':target').getBoundingClientRect().top; return top") < 100


def test_the_first_sentence_is_the_conclusion(browser: Any, ten: Path) -> None:
    browser.show(ten, width=390)
    assert browser.run("return document.querySelector('p').className") == "conclusion"
    box = browser.run(
        "const box = document.querySelector('.conclusion').getBoundingClientRect(); return [box.left, box.right]"
    )
    assert 0 <= box[0] < box[1] <= 390


@pytest.mark.parametrize("name", ["plan.yaml", "runs.csv", "epochs.csv", "report.json"])
def test_the_files_inside_the_page_can_be_saved(browser: Any, tmp_path: Path, name: str) -> None:
    browser.show(write_report(tmp_path / "report", make_report(two_groups())))
    place = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", place)
    press(browser, f"a[download='{name}']", Keys.ENTER)
    saved = tmp_path / name
    eventually(saved.is_file)
    address = browser.run(f"return document.querySelector(\"a[download='{name}']\").href")
    assert saved.read_bytes() == base64.b64decode(address.partition(";base64,")[2])


def test_a_box_of_the_legend_hides_its_group(browser: Any, ten: Path) -> None:
    browser.show(ten)
    press(browser, "#show-3", Keys.SPACE)
    assert visible(browser, ".chart .line") == 36
    assert visible(browser, ".chart .g3") == 0


def test_the_second_half_can_be_shown(browser: Any, ten: Path) -> None:
    browser.show(ten)
    # 30 epochs: at most 20 markers per line, every second one and the last; epochs 16 to 30 have one each.
    assert visible(browser, ".chart .g1 .marker") == 4 * 15
    press(browser, "#view-1", Keys.ARROW_RIGHT)
    assert visible(browser, ".chart .line") == 40
    assert visible(browser, ".chart .g1 .marker") == 4 * 15
    assert visible(browser, ".v1") == 0


def test_what_is_folded_is_printed_on_white(browser: Any, ten: Path) -> None:
    browser.show(ten, scheme="dark", media="print")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("return document.querySelector('#digests + details table').getBoundingClientRect().height") > 100
