"""The table of causes is complete, and every one of them is planted by a test."""

import ast
import re
from pathlib import Path

import pytest

import loopbench_diagnose
from loopbench_diagnose.reasons import Reason

PACKAGE = Path(loopbench_diagnose.__file__).parent
TESTS = Path(__file__).parent


def _named(folder: Path, files: str) -> set[str]:
    """Members of ``Reason`` that sources name."""
    return {name for file in folder.glob(files) for name in re.findall(r"Reason\.([A-Z_]+)", file.read_text())}


def test_every_cause_is_told_by_a_probe() -> None:
    assert _named(PACKAGE, "probes/*.py") == set(Reason)


def test_every_cause_is_planted() -> None:
    assert _named(TESTS, "test_faults_*.py") == set(Reason)


def _quick_tests(file: Path) -> list[ast.FunctionDef]:
    """The tests of a file that the quick tier runs, at least with some of their parameters."""
    functions = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
    tests = [function for function in functions if function.name.startswith("test_")]
    return [test for test in tests if "pytest.mark.slow" not in map(ast.unparse, test.decorator_list)]


def test_every_cause_is_planted_by_a_quick_test() -> None:
    tests = [test for file in TESTS.glob("test_faults_*.py") for test in _quick_tests(file)]
    assert {name for test in tests for name in re.findall(r"Reason\.([A-Z_]+)", ast.unparse(test))} == set(Reason)


def test_no_probe_makes_up_a_name() -> None:
    sources = "".join(file.read_text() for file in PACKAGE.glob("probes/*.py"))
    assert not re.findall(r'reason="', sources)


@pytest.mark.parametrize("reason", Reason)
def test_the_value_is_the_name(reason: Reason) -> None:
    assert reason == reason.name
