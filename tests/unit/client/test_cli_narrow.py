"""Tables in a narrow terminal: nothing in them is broken."""

import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from loopbench import spec
from loopbench_client.cli import app
from loopbench_client.cli.plain_table import PlainTable
from loopbench_client.cli.tables import table
from tests.support.fake_service import RUN_ID

COMMANDS = {
    "runs": ("runs",),
    "show": ("show", RUN_ID),
    "compare": ("compare", "--spec", "tape: method=gradient-tape", "--spec", "fit: method=fit", "--seeds", "2"),
    "verdicts": ("compare", "a=1", "b=2", "c=3", "d=4"),
    "evaluate": ("evaluate", RUN_ID),
    "demo": ("demo",),
    "info": ("info",),
}
# With the unit, or the deviation and the unit.
FIGURE = re.compile(r"[+-]?\d[\d.,]*(?: ± [\d.]+)?(?: (?:%|s|h|d|min)\b)?")


@pytest.fixture
def deviating(monkeypatch: pytest.MonkeyPatch, service: Any, make_served_run: Any) -> None:
    """Groups with a standard deviation, pairs with intervals, and runs with long words."""
    summary, pair = spec.GroupSummary, spec.PairComparison
    deviations = {"train_accuracy_sd": 0.0305, "validation_accuracy_sd": 0.0125}
    interval = {"interval_low": -0.0125, "interval_high": 0.3456, "difference_p_value": 0.012, "seeds_needed": 12}
    monkeypatch.setattr(spec, "GroupSummary", lambda **fields: summary(**fields | deviations))
    monkeypatch.setattr(spec, "PairComparison", lambda **fields: pair(**fields | interval))
    service.verdict = spec.Verdict.INCONCLUSIVE
    losses = [*spec.Loss]
    service.runs = [
        make_served_run(spec.RunSpec(loss=loss, seed=seed), id=f"{seed}{RUN_ID[1:]}", name="the name of a run")
        for seed, loss in enumerate(losses)
    ]


@pytest.mark.usefixtures("deviating")
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("width", [80, 60, 40, 30])
def test_no_figure_and_no_word_is_broken(address: str, words: tuple[str, ...], width: int) -> None:
    def printed(columns: int) -> str:
        return CliRunner().invoke(app, words, env={"LOOPBENCH_SERVER": address, "COLUMNS": str(columns)}).stdout

    wide, narrow = printed(300), printed(width)
    assert set(FIGURE.findall(wide)) == set(FIGURE.findall(narrow))
    assert set(wide.split()) - set(narrow.split()) == set()


def lines_of(made: PlainTable, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width)
    console.print(made)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_a_table_that_does_not_fit_is_a_paragraph_per_row() -> None:
    rows = [("first", "1.25 %", "some words"), ("second", "", "more")]
    made = table("label", "accuracy", "note", rows=rows, wrapping=("note",))
    assert lines_of(made, 26) == [
        "label   accuracy  note",
        "first     1.25 %  some",
        "                  words",
        "second            more",
    ]
    assert lines_of(made, 20) == [
        "label first",
        "  accuracy 1.25 %",
        "  note some words",
        "label second",
        "  note more",
    ]
    assert lines_of(made, 12) == [
        *("label first", "  accuracy", "  1.25 %", "  note some", "  words"),
        *("label second", "  note more"),
    ]
