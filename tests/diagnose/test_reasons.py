"""The table of causes is complete, and every one of them is planted by a test."""

import ast
import re
from pathlib import Path

import pytest

import loopbench_diagnose
import loopbench_server
from loopbench.spec import Reason
from loopbench.spec.reasons import OF_PROGRAMS, OF_SPECS

PACKAGE = Path(loopbench_diagnose.__file__).parent
TESTS = Path(__file__).parent
OF_LOOPS = set(Reason) - OF_SPECS - OF_PROGRAMS
ENGINE = Path(loopbench_server.__file__).parent / "engine"


def _named(folder: Path, files: str) -> set[str]:
    """Members of ``Reason`` that sources name."""
    return {name for file in folder.glob(files) for name in re.findall(r"Reason\.([A-Z_]+)", file.read_text())}


def test_every_cause_is_told_by_a_probe() -> None:
    assert _named(PACKAGE, "probes/*.py") == OF_LOOPS


def test_every_cause_is_planted() -> None:
    assert _named(TESTS, "test_faults_*.py") == OF_LOOPS


def _quick_tests(file: Path) -> list[ast.FunctionDef]:
    """The tests of a file that the quick tier runs, at least with some of their parameters."""
    functions = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
    tests = [function for function in functions if function.name.startswith("test_")]
    return [test for test in tests if "pytest.mark.slow" not in map(ast.unparse, test.decorator_list)]


def test_every_cause_is_planted_by_a_quick_test() -> None:
    tests = [test for file in TESTS.glob("test_faults_*.py") for test in _quick_tests(file)]
    assert {name for test in tests for name in re.findall(r"Reason\.([A-Z_]+)", ast.unparse(test))} == OF_LOOPS


def test_the_checks_of_a_program_name_its_causes() -> None:
    assert _named(PACKAGE / "program", "**/*.py") >= OF_PROGRAMS
    labels = (TESTS / "programs" / "labels.py").read_text()
    assert {reason for reason in OF_PROGRAMS if reason not in labels} == set()


def test_the_service_names_the_causes_of_specifications() -> None:
    assert _named(ENGINE, "specifications.py") >= OF_SPECS


@pytest.mark.parametrize("files", [(PACKAGE, "probes/*.py"), (ENGINE, "*.py")], ids=["probes", "engine"])
def test_nothing_makes_up_a_name(files: tuple[Path, str]) -> None:
    sources = "".join(file.read_text() for file in files[0].glob(files[1]))
    assert "Reason." in sources
    names = "|".join(Reason)
    assert re.findall(rf'"(?:{names})"', sources) == []


@pytest.mark.parametrize("reason", Reason)
def test_the_value_is_the_name(reason: Reason) -> None:
    assert reason == reason.name
