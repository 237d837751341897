"""What an audit says of what pip-audit says, with a program in its place that says what a test wants."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import audit as script
from scripts.audit import LOCK, audit

# Answers from a file by the service and the number of requirements: "pypi 1" is that of the probe.
STAND_IN = """
import json, pathlib, sys
service = sys.argv[sys.argv.index("--vulnerability-service") + 1]
asked = pathlib.Path(sys.argv[sys.argv.index("--requirement") + 1]).read_text().count("==1")
answer = json.loads(pathlib.Path({answers!r}).read_text())[f"{{service}} {{asked}}"]
if isinstance(answer, str):
    sys.exit(answer)
print(json.dumps({{"dependencies": answer}}))
"""
GOOD: list[Any] = [{"name": name, "version": "1", "vulns": []} for name in ("a", "b")]
BAD = [GOOD[0], {"name": "b", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2", "1.1"]}]}]
UNKNOWN = [{"name": name, "skip_reason": "not found"} for name in ("a", "b")]
AWAY = "requests.exceptions.ConnectionError: Failed to resolve"
Says = Callable[..., Path]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has pip-audit say what is given, and makes a lock of two packages."""

    def prepare(**answers: Any) -> Path:
        (tmp_path / "answers").write_text(
            json.dumps({name.replace("_", " "): value for name, value in answers.items()})
        )
        monkeypatch.setattr(
            script, "COMMAND", [sys.executable, "-c", STAND_IN.format(answers=str(tmp_path / "answers"))]
        )
        lock = tmp_path / "lock"
        lock.write_text("a==1 \\\n    --hash=sha256:0\nb==1 ; sys_platform == 'linux' \\\n    --hash=sha256:0\n")
        return lock

    return prepare


def test_packages_without_vulnerabilities_pass(says: Says) -> None:
    lock = says(pypi_1=GOOD[:1], pypi_2=GOOD)
    assert audit(lock) == "audit: no known vulnerability in 2 packages (pypi)"


def test_a_vulnerability_fails_and_is_named(says: Says) -> None:
    with pytest.raises(SystemExit) as caught:
        audit(says(pypi_1=GOOD[:1], pypi_2=BAD))
    assert str(caught.value).splitlines()[1:] == ["b 1: PYSEC-1, mended in 2, 1.1"]


@pytest.mark.parametrize("absent", [UNKNOWN[:1], AWAY], ids=["knows no package", "is away"])
def test_another_database_is_asked_where_one_does_not_answer(says: Says, absent: Any) -> None:
    with pytest.raises(SystemExit, match="PYSEC-1"):
        audit(says(pypi_1=absent, osv_1=GOOD[:1], osv_2=BAD))


def test_where_none_answers_nothing_is_said_to_be_sound(says: Says) -> None:
    said = audit(says(pypi_1=UNKNOWN[:1], osv_1=AWAY))
    assert said == "audit: no database of vulnerabilities answers here (pypi, osv); nothing was audited"


def test_another_failure_is_one(says: Says) -> None:
    with pytest.raises(SystemExit, match="pip-audit failed: no such option"):
        audit(says(pypi_1="usage\nno such option"))


def test_the_lock_pins_every_package() -> None:
    pinned = [line for line in LOCK.read_text().splitlines() if line and line[0].isalnum()]
    assert pinned
    assert all("==" in line for line in pinned)
