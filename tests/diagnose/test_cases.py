"""The cases of the scoreboard are complete programs."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.scoreboard.__main__ import FOLDERS
from tests.support.paths import ROOT

# A separate process: one case configures the devices of TensorFlow, which it must do before the others run operations.
PROGRAM = """
import sys
from pathlib import Path
from scripts.scoreboard.cases import PAIR, load, read_cases
cases = list(read_cases(Path(sys.argv[1])))
modules = {}
for case in sorted(cases, key=lambda case: "replicas" not in case.path.stem):
    module = modules[case.path] = modules.get(case.path) or load(case.path)
    needed = ("build_model", "data", case.side, *(["first"] if case.side in PAIR else []))
    missing = [name for name in needed if not hasattr(module, name)]
    assert not missing, (case.path, missing)
print(len(cases))
"""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_case_can_be_loaded(folder: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 3
