"""The scoreboard of published cases: verdicts on answers, and the page."""

from pathlib import Path

import pytest

from loopbench.spec import Reason
from scripts.scoreboard import __main__ as program
from scripts.scoreboard.board import page
from scripts.scoreboard.cases import Answer, Case, Label, read_cases
from scripts.scoreboard.peers import PEERS
from scripts.scoreboard.result import Result
from scripts.scoreboard.verdicts import MEANINGS, Verdict, diagnosed, others, verdict

FAULT = Label("loss", "a thread", ("LOSS_FUNCTION", "MASK|LABELS"), ("METRIC",))
SOUND = Label("sound pairs", "a thread")
REFUSED = Label("refused", "a thread", ("StructureError",))


@pytest.mark.parametrize(
    ("label", "answer", "expected"),
    [
        (FAULT, Answer(("LOSS_FUNCTION", "LABELS")), Verdict.HIT),
        (FAULT, Answer(("MASK", "METRIC", "LOSS_FUNCTION")), Verdict.HIT),
        (FAULT, Answer(("LOSS_FUNCTION",)), Verdict.GENERIC),
        (FAULT, Answer(("UNEXPLAINED_UPDATE",)), Verdict.GENERIC),
        (FAULT, Answer(("LOSS_FUNCTION", "LABELS", "UNEXPLAINED_FIGURE")), Verdict.GENERIC),
        (FAULT, Answer(("LOSS_FUNCTION", "LABELS", "SHUFFLE")), Verdict.FALSE),
        (FAULT, Answer(("SHUFFLE",)), Verdict.FALSE),
        (FAULT, Answer(), Verdict.MISS),
        (FAULT, Answer(error="ValueError"), Verdict.CRASH),
        (SOUND, Answer(), Verdict.HIT),
        (SOUND, Answer(("UNEXPLAINED_UPDATE",)), Verdict.FALSE),
        (SOUND, Answer(error="ValueError"), Verdict.CRASH),
        (REFUSED, Answer(error="StructureError"), Verdict.HIT),
        (REFUSED, Answer(error="ValueError"), Verdict.CRASH),
        (REFUSED, Answer(), Verdict.MISS),
    ],
)
def test_an_answer_is_judged(label: Label, answer: Answer, expected: Verdict) -> None:
    assert verdict(label, answer) is expected


@pytest.mark.parametrize(
    ("answer", "whole", "foreign"),
    [
        (Answer(("LOSS_FUNCTION", "LABELS")), True, set()),
        (Answer(("LOSS_FUNCTION", "METRIC", "MASK")), True, set()),
        (Answer(("LOSS_FUNCTION", "LABELS", "SHUFFLE")), True, {"SHUFFLE"}),
        (Answer(("LABELS",)), False, set()),
        (Answer(("SHUFFLE",)), False, {"SHUFFLE"}),
        (Answer(error="ValueError"), False, set()),
    ],
)
def test_an_answer_is_whole_apart_from_what_it_adds(answer: Answer, whole: bool, foreign: set[str]) -> None:
    assert (diagnosed(FAULT, answer), others(FAULT, answer)) == (whole, foreign)


LABELS = """
from scripts.scoreboard.cases import Label
CASES = {"one": Label("loss", "thread 1", ("MASK",)), "two": Label("metrics", "thread 2", ("METRIC",))}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.py").write_text(LABELS)
    (tmp_path / "one.py").write_text("fixed_second = None\nraise RuntimeError('no case')")
    (tmp_path / "two.py").write_text("")
    return tmp_path


def test_cases_are_read_with_their_repaired_version(folder: Path) -> None:
    found = [(case.name, case.side, case.label.kind, case.label.needed) for case in read_cases(folder)]
    assert found == [
        ("one", "second", "loss", ("MASK",)),
        ("one, repaired", "fixed_second", "sound pairs", ()),
        ("two", "second", "metrics", ("METRIC",)),
    ]


def test_a_label_without_a_module_is_named(folder: Path) -> None:
    (folder / "two.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"names two, but there is no .*two\.py"):
        list(read_cases(folder))


def test_an_error_of_a_case_is_its_answer(folder: Path) -> None:
    first, *_ = read_cases(folder)
    answer = first.answer()
    assert (answer.reasons, answer.error) == ((), "RuntimeError")


def test_the_program_writes_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {
        "one": Answer(("MASK",), seconds=3),
        "one, repaired": Answer(seconds=1),
        "two": Answer(seconds=8, failed=("masks: no",)),
    }
    monkeypatch.setattr(Case, "answer", lambda case: answers[case.name])
    written = folder / "scoreboard.md"
    assert program.main(["--folder", str(folder), "--page", str(written)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "hit     one: MASK (3 s)",
        "hit     one, repaired: none (1 s)",
        "miss    two: none (8 s); masks: no",
    ]
    text = written.read_text()
    assert "**2 of 3 diagnoses are right.** An experiment failed in 1 of them.\nOne diagnosis takes 3 s" in text
    assert "| metrics | 0 | 0 | 1 | 0 | 0 |" in text
    assert "| **all** | 2 | 0 | 1 | 0 | 0 |" in text


def test_some_cases_alone_write_no_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Case, "answer", lambda _: Answer(("METRIC",)))
    written = folder / "scoreboard.md"
    assert program.main(["two", "--folder", str(folder), "--page", str(written)]) == 0
    assert not written.exists()


def test_the_page_shows_every_case_and_every_other_tool(folder: Path) -> None:
    results = [Result(case, Answer(("A|B",)), Verdict.FALSE) for case in read_cases(folder)]
    text = page(results)
    assert all(meaning in text for meaning in MEANINGS.values())
    assert "| one | loss | `MASK` | `A` or `B` | false | thread 1 |" in text
    assert all(f"[{peer.paper}]({peer.address}), {peer.venue}" in text for peer in PEERS)
    assert MEANINGS.keys() == set(Verdict)


SINGLES = """
from scripts.scoreboard.cases import PROGRAM, SCRIPT, Label
CASES = {"one": Label(PROGRAM, "post 1", ("LABELS", "SHUFFLE")), "two": Label(SCRIPT, "own")}
"""


def test_single_programs_have_a_table_beside_the_figures_of_other_tools(folder: Path) -> None:
    (folder / "labels.py").write_text(SINGLES)
    (folder / "one.py").write_text("faulty = repaired = None")
    cases = list(read_cases(folder))
    assert [(case.name, case.side, case.label.kind) for case in cases] == [
        ("one", "faulty", "programs"),
        ("one, repaired", "repaired", "repaired programs"),
        ("two", "loop", "sound scripts"),
    ]
    answers = (Answer(("LABELS", "SHUFFLE", "MASK")), Answer(("LABELS",)), Answer())
    results = [Result(case, answer, verdict(case.label, answer)) for case, answer in zip(cases, answers, strict=True)]
    text = page(results)
    assert "| loopbench | 1 | 1 | 1 | 1 | 0 |" in text
    assert "| repaired programs | 1 | 1 | 0 |" in text
    assert "| sound scripts | 1 | 0 | 0 |" in text
    assert "| DeepFD | 52 | 47 | 27 | – | – |" in text


def test_a_missed_fault_of_a_single_program_is_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "labels.py").write_text(SINGLES)
    monkeypatch.setattr(Case, "answer", lambda _: Answer())
    assert program.main(["--folder", str(folder), "--page", str(folder / "page.md")]) == 0


@pytest.mark.parametrize("folder", program.FOLDERS, ids=lambda folder: folder.name)
def test_every_label_has_a_case_and_names_causes(folder: Path) -> None:
    cases = list(read_cases(folder))
    assert {case.path.stem for case in cases} <= {path.stem for path in folder.glob("*.py")}
    named = {
        name for case in cases for needed in (*case.label.needed, *case.label.allowed) for name in needed.split("|")
    }
    assert named <= {*Reason}
