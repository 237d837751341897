"""The tutorials do what they say: their blocks are run one after the other."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

TUTORIALS = {
    "diagnose-your-own-loop.md": (12, ["[TRAINING_FLAG]", "32 times the first", "[LABELS_BROADCAST]"]),
    "diagnose-one-program.md": (5, ["[OUTPUT_ACTIVATION]", "give the outputs sigmoid", "loss='binary_crossentropy'"]),
}


@pytest.mark.slow
# Keras warns of the fault that a tutorial shows.
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_runs(name: str, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    count, words = TUTORIALS[name]
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)
    assert len(blocks) == count
    namespace: dict[str, Any] = {"__name__": "tutorial"}
    for block in blocks:
        exec(compile(block, name, "exec"), namespace)  # noqa: S102  the page's own code
    printed = capsys.readouterr().out
    assert [missing for missing in words if missing not in printed] == []
    assert (tmp_path / "report.html").exists()
