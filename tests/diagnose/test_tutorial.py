"""The tutorial does what it says: its blocks are run one after the other."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

TUTORIAL = ROOT / "docs" / "diagnose-your-own-loop.md"


@pytest.mark.slow
def test_the_tutorial_runs(capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    assert len(blocks) == 12
    namespace: dict[str, Any] = {"__name__": "tutorial"}
    for block in blocks:
        exec(compile(block, str(TUTORIAL), "exec"), namespace)  # noqa: S102  the page's own code
    printed = capsys.readouterr().out
    assert "[TRAINING_FLAG]" in printed
    assert (tmp_path / "report.html").exists()
    assert "32 times the first" in printed
    assert "[LABELS_BROADCAST]" in printed
