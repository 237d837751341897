"""Published cases: programs with a fault that other people published, and the causes that each must report.

A folder of cases holds ``labels.py`` with ``CASES``, a mapping of the module's name to a :class:`Label`, and one module
per case. The module defines ``build_model``, ``data`` and optionally ``OPTIONS`` for ``diagnose``. In addition it has

- for two sides, ``first`` (the correct side), ``second`` and optionally ``fixed_second`` (the second side after the
  repair),
- for one program alone, ``faulty`` and ``repaired``, which is trained on ``repaired_data`` where there is one,
- for a sound script, ``loop``.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
# Seconds for one case, with the start of TensorFlow.
TIMEOUT = 600
SOUND, REPAIRED = "sound pairs", "repaired programs"
PROGRAM, SCRIPT = "programs", "sound scripts"
# The kind of a label → the names of the program that has the fault and of the repaired one, if it can have one.
SIDES: dict[str, tuple[str, str]] = {PROGRAM: ("faulty", "repaired"), SCRIPT: ("loop", "")}
PAIR = ("second", "fixed_second")
# Names of sides that are no part of a case's name.
PLAIN = {side for side, _ in (PAIR, *SIDES.values())}
# The line of a case's process that holds its answer.
ANSWER = "ANSWER "


@dataclass(frozen=True)
class Label:
    """What a case must report.

    Attributes:
        kind: the row of the scoreboard.
        source: where the fault was published.
        needed: causes that must all be reported; ``A|B`` stands for either. The name of an exception stands for a
            refusal. Nothing is needed of a sound pair.
        allowed: causes that may be reported besides.
    """

    kind: str
    source: str
    needed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The reasons of the causes that were reported, or the name of the exception that was raised instead.

    ``failed`` are experiments that raised an exception, which hides what they would have found.
    """

    reasons: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One diagnosis: ``side`` is the name of the second side, or of the program alone, within the module."""

    path: Path
    side: str
    label: Label

    @property
    def name(self) -> str:
        """The module, and the side where it is the repaired one."""
        return self.path.stem if self.side in PLAIN else f"{self.path.stem}, repaired"

    def answer(self) -> Answer:
        """Diagnose the case in a separate process, so that no case affects another."""
        started = time.monotonic()
        command = [sys.executable, "-m", __name__, str(self.path), self.side]
        try:
            done = subprocess.run(  # noqa: S603  # nosec B603  # the repository's own cases
                command, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=ROOT
            )
        except subprocess.TimeoutExpired:
            return Answer(error="TimeoutExpired", seconds=TIMEOUT)
        lines = [line.removeprefix(ANSWER) for line in done.stdout.splitlines() if line.startswith(ANSWER)]
        found = json.loads(lines[-1]) if lines else {"error": f"exit code {done.returncode}"}
        reasons, failed = (tuple(found.get(name, ())) for name in ("reasons", "failed"))
        return Answer(reasons, found.get("error", ""), time.monotonic() - started, failed)


def read_cases(folder: Path) -> Iterator[Case]:
    """Every case of a folder, and the repaired version of each case that has one.

    Raises:
        FileNotFoundError: a label names a module that is not there.
    """
    for name, label in load(folder / "labels.py").CASES.items():
        path = folder / f"{name}.py"
        if not path.is_file():
            raise FileNotFoundError(f"{folder / 'labels.py'} names {name}, but there is no {path}")
        side, repaired = SIDES.get(label.kind, PAIR)
        yield Case(path, side, label)
        if repaired and repaired in path.read_text():
            yield Case(path, repaired, Label(REPAIRED if label.kind == PROGRAM else SOUND, label.source))


def load(path: Path) -> ModuleType:
    """The module in a file; modules beside it can be imported."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def diagnose_case(path: Path, side: str) -> dict[str, Any]:
    """The answer of one case, in this process."""
    try:
        module = load(path)
        # Only the processes of the cases need TensorFlow.
        from loopbench_diagnose import diagnose  # noqa: PLC0415
        from loopbench_diagnose.findings import FAILED  # noqa: PLC0415

        options = getattr(module, "OPTIONS", {})
        found = diagnose(module.build_model, _data(module, side), *_loops(module, side), **options)
    except Exception as error:  # noqa: BLE001  a crash is an answer as well
        return {"error": type(error).__name__}
    failed = [stated for stated in found.not_tested if FAILED in stated]
    return {"reasons": [cause.reason for cause in found.causes], "failed": failed}


def _loops(module: ModuleType, side: str) -> tuple[Any, ...]:
    """Both sides, or one program."""
    return (module.first, getattr(module, side)) if side in PAIR else (getattr(module, side),)


def _data(module: ModuleType, side: str) -> Any:
    return getattr(module, f"{side}_data", module.data)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(ANSWER + json.dumps(diagnose_case(Path(sys.argv[1]), sys.argv[2])))
