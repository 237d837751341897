"""The page of a diagnosis in a real browser: light, dark and narrow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopbench.spec import FirstDifference, LayerRecord, Replay
from loopbench_diagnose.diagnosis import Diagnosis
from tests.support.browser import POOR_CONTRAST
from tests.support.loop_diagnoses import make_diagnosis
from tests.support.replays import make_update, make_variable

LONG = "a_name_without_a_single_space_" * 8


def long_names() -> Diagnosis:
    replay = Replay(
        updates=tuple(make_update(number, 2.0**-number) for number in range(1, 400)),
        variables=tuple(make_variable(f"{LONG}/{n}", 10.0**n) for n in range(-8, 8)),
        layers=tuple(LayerRecord(name=f"{LONG}_{number}", difference=0.1) for number in range(80)),
        first_differing_layer=f"{LONG}_0",
        first_difference=FirstDifference(
            update=399, place="gradient of the outputs", text=f"At update 399 {LONG} differs."
        ),
    )
    return make_diagnosis().model_copy(update={"replay": replay})


PAGES: dict[str, Callable[[], Diagnosis]] = {
    "every section": make_diagnosis,
    "long names": long_names,
    "nothing differs": lambda: Diagnosis(causes=(), controls=make_diagnosis().controls),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("kind", PAGES)
def test_the_page_is_valid_on_every_screen(browser: Any, tmp_path: Path, kind: str, width: int, scheme: str) -> None:
    path = PAGES[kind]().save(tmp_path / "report.html")
    browser.show(path, width=width, scheme=scheme)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [path.as_uri()]
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(POOR_CONTRAST)[2:] == []


def test_the_scheme_changes_the_whole_page(browser: Any, tmp_path: Path) -> None:
    browser.show(make_diagnosis().save(tmp_path / "report.html"), scheme="light")
    look = """
        const part = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
        return [part(".loopbench-diagnosis", "backgroundColor"), part("h2", "color"), part(".line", "stroke")]"""
    light = browser.run(look)
    browser.set_media("dark")
    dark = browser.run(look)
    assert light[0] == "rgb(255, 255, 255)"
    assert all(before != after for before, after in zip(light, dark, strict=True))


def test_words_are_whole_on_a_telephone(browser: Any, tmp_path: Path) -> None:
    browser.show(make_diagnosis().save(tmp_path / "report.html"), width=390)
    heights = browser.run("""
        const names = [...document.querySelectorAll(".stacked th, .bars th")].filter(name => name.checkVisibility());
        return names.map(name => [name.textContent, name.getBoundingClientRect().width])""")
    assert {name for name, _ in heights} >= {"loss", "accuracy", "val_auc"}
    # A name that has the width of a letter is broken at each.
    assert min(width for _, width in heights) > 80


def test_pictures_have_a_size(browser: Any, tmp_path: Path) -> None:
    for width in (390, 1200):
        browser.show(make_diagnosis().save(tmp_path / "report.html"), width=width)
        line = browser.run(
            "const box = document.querySelector('.line').getBoundingClientRect(); return [box.width, box.height]"
        )
        assert min(line) > 50
        bars = browser.run(
            "return [...document.querySelectorAll('.bar rect')].map(bar => bar.getBoundingClientRect().width)"
        )
        # The ratio of 32 beside its evidence and in its picture, then 3e-8 at the lower end of the axis of 0.41.
        ratio, same_ratio, least, largest = bars[:4]
        assert min(ratio, same_ratio, largest) > 50
        assert 0 < least < 20
