"""NaN and infinity: in the data, and where no fix of the training explains them."""

from typing import Any

import numpy as np

from loopbench.spec import Effect
from loopbench_diagnose.data import leaves
from loopbench_diagnose.findings import Findings, difference, evidence
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.reasons import Reason


def check(program: Program, findings: Findings) -> None:
    """Looks for the first value that is not finite."""
    for name, arrays in (("inputs", program.data.x), ("labels", program.data.y)):
        if share := _bad(arrays):
            _report(
                findings,
                f"The {name} hold NaN or infinity",
                evidence("data", f"The part of the values of the {name} that is not finite.", 0.0, share),
                f"Drop these samples, or fill in a value: np.isfinite({name}).",
            )
            return
    found = program.trace.non_finite
    lost = [name for name, value in program.history.reported.items() if "loss" in name and not np.isfinite(value)]
    # The causes so far are roots, whose fixes keep the training finite.
    if findings.reasons or (found is None and not lost):
        return
    place = "the loss, after the first updates" if found is None else f"{found.place}, at update {found.update}"
    _report(
        findings,
        f"NaN or infinity appears in {place}",
        evidence("place", f"First in {place}."),
        "Keep logarithms, divisions and square roots away from 0: take a loss of Keras, or add a small number.",
    )


def _bad(arrays: Any) -> float:
    values = [np.asarray(leaf) for leaf in leaves(arrays)]
    bad = [float(np.mean(~np.isfinite(value))) for value in values if value.dtype.kind == "f" and value.size]
    return max(bad, default=0.0)


def _report(findings: Findings, title: str, measured: Any, fix: str) -> None:
    findings.cause(
        difference(
            Reason.NON_FINITE,
            title,
            [measured],
            consequence="All weights become NaN with the next update, and the model predicts nothing.",
            fix=fix,
        ),
        Effect.TRAINING,
        3.0,
    )
