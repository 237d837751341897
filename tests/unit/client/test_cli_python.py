"""``loopbench diagnose --python`` with a stand-in for the diagnosis itself, so TensorFlow is not needed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from loopbench.spec import Cause, Diagnosis, Replay
from loopbench.text import PLAIN, Context
from loopbench_client.cli import python_loops
from loopbench_client.cli.commands import diagnose as command
from loopbench_client.cli.exit_codes import ExitCode

Cli = Callable[..., Result]
CAUSE = Cause(
    reason="LAST_BATCH", title="It is the last batch's", evidence=(), consequence="Little.", fix="Take the mean."
)
REPLAY = Replay(compared=("2 epochs.",))
ANSWER = "It is the last batch's: take the mean."
LOOPS = """
class Nested:
    data = [1, 2]
def build_model(): return "a model"
def first(model, data, epochs): return "first"
def second(model, data, epochs): return 1 / 0
number = 3
"""
NAMES = ("--python", "loops:build_model", "loops:Nested.data", "loops:first", "loops:second")


class Found(Diagnosis):
    context: Context = PLAIN

    def save(self, path: Path) -> Path:
        path.write_text("the page with pictures")
        return path


class DataError(ValueError):
    """Stand-in for the library's error."""


class Library(ModuleType):
    """Stand-in for ``loopbench_diagnose``."""

    DataError = NoUpdateError = ReusedObjectError = StructureError = DataError

    def __init__(self) -> None:
        super().__init__("loopbench_diagnose")
        self.given: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}
        self.act: Callable[..., Any] = lambda *_: Found(causes=(CAUSE,), controls=(), replay=REPLAY)

    def diagnose(self, *given: Any, **options: Any) -> Any:
        self.given, self.options = given, options
        return self.act(*given)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Library:
    made = Library()
    monkeypatch.setitem(sys.modules, "loopbench_diagnose", made)
    monkeypatch.setattr(python_loops, "find_spec", lambda name: name)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "loops", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loops.py").write_text(LOOPS)
    return made


def test_functions_are_found_by_module_and_by_file(cli: Cli, library: Library) -> None:
    for names in (NAMES, tuple(name.replace("loops:", "./loops.py:") for name in NAMES)):
        done = cli("diagnose", *names)
        assert (done.exit_code, done.stdout.splitlines()[0]) == (ExitCode.SUCCESS, ANSWER)
        build_model, data, first, _ = library.given
        assert (build_model(), data, first(0, 0, 0), library.options) == ("a model", [1, 2], "first", {})
        sys.modules.pop("loops")


def test_options_reach_the_library(cli: Cli, library: Library) -> None:
    assert cli("diagnose", *NAMES, "--samples", "300", "--seed", "7").exit_code == ExitCode.SUCCESS
    assert library.options == {"samples": 300, "seed": 7}


def test_a_terminal_shows_the_answer_last(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "out", lambda: Console(force_terminal=True, highlight=False, markup=False, width=200))
    lines = cli("diagnose", *NAMES).stdout.splitlines()
    assert (lines[0], lines[-1]) == ("1. It is the last batch's  [LAST_BATCH]", ANSWER)


def test_verbose_and_json(cli: Cli) -> None:
    assert cli("diagnose", *NAMES, "--verbose").stdout.splitlines()[-2:] == ["Scope:", "  2 epochs."]
    assert json.loads(cli("diagnose", *NAMES, "--json").stdout)["causes"][0]["reason"] == "LAST_BATCH"


def test_one_loop_is_a_program_alone(cli: Cli, library: Library) -> None:
    context = Context(notes=("It is slow.",), configuration="model.fit(x, y)\n", agreed="No fault.")
    library.act = lambda *_: Found(causes=(), controls=(), context=context)
    done = cli("diagnose", *NAMES[:-1])
    assert (done.exit_code, len(library.given)) == (ExitCode.SUCCESS, 3)
    assert done.stdout.splitlines() == [
        "No fault.",
        "",
        "Notes, which are no causes:",
        "  It is slow.",
        "",
        "The program as stock training:",
        "  model.fit(x, y)",
    ]
    found = json.loads(cli("diagnose", *NAMES[:-1], "--json").stdout)
    assert (found["causes"], found["notes"], found["configuration"]) == ([], ["It is slow."], "model.fit(x, y)\n")


def test_the_report_is_that_of_the_library(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.html"
    done = cli("diagnose", *NAMES, "--report", str(path))
    assert (done.exit_code, done.stderr) == (ExitCode.SUCCESS, f"report: {path}\n")
    assert path.read_text() == "the page with pictures"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({1: "build_model"}, "BUILD_MODEL: 'build_model' is not of the form MODULE:NAME or FILE.py:NAME"),
        ({2: "absent:data"}, "DATA: 'absent:data' cannot be loaded: No module named 'absent'"),
        ({2: "absent.py:data"}, "DATA: 'absent.py:data' cannot be loaded: there is no file absent.py"),
        ({3: "loops:third"}, "LOOP: 'loops:third' cannot be loaded: module 'loops' has no attribute 'third'"),
        ({4: "loops:number"}, "SECOND: 'loops:number' is a int, not a function"),
        ({1: "loops:a", 4: "loops:b"}, "SECOND: 'loops:b' cannot be loaded: module 'loops' has no attribute 'b'"),
    ],
)
def test_every_bad_name_is_bad_input(change: dict[int, str], complaint: str, cli: Cli, library: Library) -> None:
    done = cli("diagnose", *(change.get(place, name) for place, name in enumerate(NAMES)))
    assert (done.exit_code, library.given) == (ExitCode.BAD_INPUT, ())
    assert f"  {complaint}\n" in done.stderr


def test_data_that_cannot_be_diagnosed_is_bad_input(cli: Cli, library: Library) -> None:
    def refuse(*_: Any) -> Any:
        raise DataError("x and y must hold the same number of samples")

    library.act = refuse
    done = cli("diagnose", *NAMES)
    assert (done.exit_code, done.stderr) == (
        ExitCode.BAD_INPUT,
        "error: x and y must hold the same number of samples\n",
    )


def test_an_error_of_a_loop_names_its_line(cli: Cli, library: Library) -> None:
    library.act = lambda _, data, __, second: second(None, data, 1)
    done = cli("diagnose", *NAMES)
    assert (done.exit_code, done.stderr) == (
        ExitCode.RUN_FAILED,
        "error: the diagnosis raised ZeroDivisionError (loops.py, line 6): division by zero\n",
    )


def test_an_error_of_several_lines_in_colour_is_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text("raise RuntimeError('a call\\n\\n\\x1b[1mfails.\\x1b[0m')\n")
    done = cli("diagnose", *NAMES)
    assert done.stderr == "error: importing loops raised RuntimeError (loops.py, line 1): a call fails.\n"


def test_an_error_while_importing_names_its_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text("\n{}['key']\n")
    done = cli("diagnose", *NAMES)
    assert (done.exit_code, done.stderr) == (
        ExitCode.RUN_FAILED,
        "error: importing loops raised KeyError (loops.py, line 2): 'key'\n",
    )


def test_a_module_that_ends_the_process_is_an_error(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text("import sys\nsys.exit(0)\n")
    done = cli("diagnose", *NAMES)
    assert done.exit_code == ExitCode.RUN_FAILED
    assert done.stderr.splitlines() == [
        "error: importing loops raised SystemExit (loops.py, line 2): 0",
        "hint: run the program's own code under: if __name__ == '__main__'",
    ]


def test_a_client_without_tensorflow_names_the_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_loops, "find_spec", lambda name: None if name == "tensorflow" else name)
    done = cli("diagnose", *NAMES)
    assert (done.exit_code, done.stderr) == (
        ExitCode.RUN_FAILED,
        "error: --python needs TensorFlow and Keras\nhint: install keras-loopbench with its extra 'diagnose'\n",
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((*NAMES, "epochs=3"), "SECOND: has no effect with --python"),
        ((*NAMES, "--epochs", "3", "--verify"), "--epochs: has no effect with --python"),
        (("", "", "--samples", "9"), "--samples: has no effect without --python"),
        (("epochs=3",), "give both sides, or --python"),
        (("--python", "loops:build_model"), "requires 3 arguments"),
    ],
)
def test_conflicting_flags_are_bad_input(words: tuple[str, ...], complaint: str, cli: Cli) -> None:
    done = cli("diagnose", *words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert complaint in done.stderr
