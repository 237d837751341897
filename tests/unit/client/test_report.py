"""The page of a report, read as a browser reads it."""

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from loopbench.spec import Verdict
from loopbench_client import LoopbenchError
from loopbench_client.report import Report, check_report, write_report
from loopbench_client.report.groups import HOLDS
from loopbench_client.report.marks import COLOURS, DASHES, MARKERS, marks
from loopbench_client.report.verdicts import MEANINGS, SENTENCES_IN_ORDER, SYMBOLS
from tests.support.pages import Page
from tests.support.reports import make_report, two_groups, whole_report

TEMPLATES = Path(importlib.import_module("loopbench_client.report").__path__[0]) / "templates"

Written = Callable[[Report], Page]


def test_the_page_is_one_file_that_loads_nothing(written: Written) -> None:
    page = written(whole_report())
    assert "://" not in page.source
    assert "@import" not in page.source
    assert "url(" not in page.source
    assert {"script", "img", "iframe", "object"}.isdisjoint(tag for tag, _ in page.elements)
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert all("src" not in attributes for _, attributes in page.elements)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy
    assert policy.startswith("default-src 'none';")


def test_the_page_has_a_sound_structure(written: Written) -> None:
    page = written(whole_report())
    assert page.source.startswith("<!doctype html>")
    assert page.all("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    files = {link["download"]: link["href"] or "" for link in page.all("a") if "download" in link}
    assert {*files} == {"plan.yaml", "runs.csv", "epochs.csv", "report.json"}
    assert all(address.startswith("data:") for address in files.values())
    links = [link["href"] or "" for tag in ("a", "use") for link in page.all(tag) if "download" not in link]
    assert {link.removeprefix("#") for link in links} <= {*ids}
    assert {label["for"] for label in page.all("label")} <= {*ids}


def test_sections_come_in_their_order(written: Written) -> None:
    text = written(whole_report()).source
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert titles == [
        *("Verdicts", "Groups", "Claims", "Curves", "Validation accuracy", "Confusion matrices", "Causes"),
        *("Environment", "Repeat it", "Digests"),
    ]


def test_absent_content_has_no_section(written: Written) -> None:
    source = written(make_report(two_groups())).source
    assert not re.search(r"<h2[^>]*>(Claims|Causes)<", source)
    assert "brought no result" not in source


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\"'><b onload=x>", "&amp; </style></svg>", "{{ 7 * 7 }}"]
)
def test_text_from_outside_is_escaped(written: Written, text: str) -> None:
    plain, page = written(whole_report()), written(whole_report(text))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert {name for _, attributes in page.elements for name in attributes} == {
        name for _, attributes in plain.elements for name in attributes
    }
    named = (
        "A title",
        "tape",
        "fit",
        "train-step",
        "loopbench compare --preset article",
        "92 %",
        "too few",
        "a run failed",
    )
    diagnosed = ("ratio", "a ratio", "repeated", "the same twice", "a mean", "smaller", "sum", "not diagnosed")
    for word in (*named, *diagnosed):
        assert f"{word}{text}" in page.text


def test_text_need_not_be_valid_unicode(written: Written) -> None:
    page = written(make_report(two_groups(), title="compare \udcff"))
    assert "compare \\udcff" in page.text


def test_tables_are_complete() -> None:
    assert SYMBOLS.keys() == MEANINGS.keys() == {*SENTENCES_IN_ORDER} == {*Verdict}
    assert HOLDS.keys() == {True, False, None}


def test_sixty_groups_look_different_and_every_look_is_drawn() -> None:
    looks = {(mark.colour, mark.dash, mark.marker) for mark in marks(map(str, range(60))).values()}
    assert len(looks) == 60
    style, markers = (TEMPLATES / "style.css").read_text(), (TEMPLATES / "markers.html").read_text()
    # Light and dark.
    assert all(len(re.findall(rf"--c{number}: #", style)) == 2 for number in range(COLOURS))
    # A line without a dash needs no rule.
    assert all(f".d{number} .line" in style for number in range(1, DASHES))
    assert all(f'id="m{number}"' in markers for number in range(MARKERS))


def test_a_page_that_is_there_is_replaced(tmp_path: Path) -> None:
    write_report(tmp_path, make_report(two_groups(), title="old"))
    path = write_report(tmp_path, make_report(two_groups(), title="new"))
    assert path == tmp_path / "index.html"
    assert "<title>new</title>" in path.read_text()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LoopbenchError, match="cannot be written: "):
        check_report(tmp_path / "file" / "report")


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(LoopbenchError, match="cannot be written: "):
        write_report(tmp_path, make_report(two_groups()))


def test_without_the_extra_the_client_works_and_the_report_says_what_to_install() -> None:
    code = """
import sys
sys.modules["jinja2"] = None
import pathlib
from loopbench_client import LoopbenchError, cli, report
import importlib.util
found = importlib.util.find_spec
from loopbench_client.report import page
page.find_spec = lambda name: None if name == "jinja2" else found(name)
try:
    report.check_report(pathlib.Path("/nowhere/at/all"))
except LoopbenchError as error:
    print(error.message, error.hint, sep="; ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    expected = "a report needs jinja2, which is not installed; install keras-loopbench with its extra 'report'\n"
    assert (done.stdout, done.stderr) == (expected, "")
