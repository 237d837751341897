"""Single programs of published benchmarks: the repair helps, the fault is reported, and no cause after the repair."""

import json
import subprocess
import sys

import pytest

from scripts.scoreboard.__main__ import FOLDERS
from scripts.scoreboard.cases import Case, read_cases
from scripts.scoreboard.verdicts import Verdict, verdict
from tests.support.paths import ROOT

FOLDER = next(folder for folder in FOLDERS if folder.name == "programs")
CASES = {case.name: case for case in read_cases(FOLDER)}
SOME = (
    "so_48251943_relu_output",
    "so_48934338_exploding_regression",
    "so_47724077_unscaled_classes",
    "neuralint_zero_weights",
    "autotrainer_slow",
    "umlaut_validated_on_training",
)
SCRIPTS = ("sound_mlp_digits", "sound_tape_loop", "sound_lstm_text")
SCORES = """
import json, sys
from pathlib import Path
import keras
from loopbench_diagnose import Side
from scripts.scoreboard.cases import load

module = load(Path(sys.argv[1]))


def score(side, data):
    keras.utils.set_random_seed(1)
    train, build = (side.train, side.build_model) if isinstance(side, Side) else (side, None)
    model = (build or module.build_model)()
    epochs = getattr(module, "OPTIONS", {}).get("epochs")
    train(model, data, *([epochs] if epochs else []))
    return module.score(model, data)


repaired_data = getattr(module, "repaired_data", module.data)
print(json.dumps([score(module.faulty, module.data), score(module.repaired, repaired_data)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SOME if "score" in (FOLDER / f"{name}.py").read_text()])
def test_the_repair_of_a_program_helps(name: str) -> None:
    command = [sys.executable, "-c", SCORES, str(FOLDER / f"{name}.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=200)
    faulty, repaired = json.loads(done.stdout.splitlines()[-1])
    assert repaired > 0.85
    # A score that is not a number is worse than any other.
    assert not faulty > repaired - 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SOME, *(f"{name}, repaired" for name in SOME), *SCRIPTS])
def test_the_causes_of_a_program_are_reported_and_no_others(name: str) -> None:
    case: Case = CASES[name]
    answer = case.answer()
    assert verdict(case.label, answer) is Verdict.HIT, answer
