"""Checks of one program without a reference, one a module, and the table of them in their order."""

from collections.abc import Callable

from loopbench_diagnose.findings import Findings
from loopbench_diagnose.program.checks import (
    by_trials,
    gradients,
    labels,
    metrics,
    non_finite,
    randomness,
    validation_data,
)
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.progress import Progress, silent

Check = Callable[[Program, Findings], None]

CHECKS: tuple[Check, ...] = (
    labels.check,
    by_trials.check,
    non_finite.check,
    gradients.check,
    randomness.check,
    validation_data.check,
    metrics.check,
)


def run(program: Program, findings: Findings, progress: Progress = silent) -> None:
    """Makes all checks; one that fails is an entry of what was not tested."""
    for number, check in enumerate(CHECKS):
        name = check.__module__.rpartition(".")[2].replace("_", " ")
        progress(name, number, len(CHECKS))
        try:
            check(program, findings)
        except Exception as error:  # noqa: BLE001  the other results stand
            findings.not_tested(name, error)
