"""Validation on the training samples, or on inputs that are prepared in another way."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from loopbench.spec import Effect
from loopbench_diagnose.data import Data, leaves, sample_keys
from loopbench_diagnose.findings import Findings, difference, evidence, percent
from loopbench_diagnose.program.preparation import are_apart
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.reasons import Reason

# Fewer samples may be all there are.
FEW = 16
# The part of the validation samples that are training samples, and of training samples that occur once.
SHARED, SINGLE = 0.2, 0.9
# What predictions have to gain by the same preparation.
GAIN = 0.05


def check(program: Program, findings: Findings) -> None:
    """Compares the samples of the validation set with the training samples."""
    validation = program.data.validation
    if validation is None:
        return
    keys, held = sample_keys(program.data.x), sample_keys(validation.x)
    known = set(keys)
    shared = float(np.mean([key in known for key in held]))
    if len(keys) >= FEW and len(known) / len(keys) >= SINGLE and shared >= SHARED:
        _report_shared(findings, shared)
        return
    if are_apart(program.data, validation):
        _report_skew(program, findings, validation)


def _report_shared(findings: Findings, shared: float) -> None:
    findings.cause(
        difference(
            Reason.VALIDATION_DATA,
            f"{percent(shared)} of the validation samples are training samples",
            [evidence("shared", "The part of the validation samples that the loop trains on.", 0.0, shared)],
            consequence="The validation metrics say how well the model knows its samples, and not how it does on new "
            "ones. The weights are not touched.",
            fix="Split the samples before training, and validate on those that are held out.",
        ),
        Effect.REPORT,
        shared,
    )


def _report_skew(program: Program, findings: Findings, validation: Data) -> None:
    """By an experiment, unless the loop makes the difference: then the data shows it."""
    like = replace(validation, x=_as_training(program.data.x, validation.x))
    model = program.history.model
    before, after = (program.score(part, program.predicted(model, part.x)) for part in (validation, like))
    given = program.given.validation
    by_loop = given is not None and not are_apart(program.given, given)
    if not by_loop and not after > before + GAIN:
        return
    findings.cause(
        difference(
            Reason.VALIDATION_DATA,
            "The validation inputs are prepared in another way than the training inputs",
            [
                evidence(
                    "inputs", f"Inputs: {_stated(program.data.x)} in training, {_stated(validation.x)} in validation."
                ),
                evidence(
                    "score", "Score of the trained model with the inputs put to the training's scale.", after, before
                ),
            ],
            consequence="The validation metrics are those of inputs that the model does not know. The weights are not "
            "touched.",
            fix="Prepare both sets by the same function, with the training set's numbers: validation score "
            f"{before:.2f} → {after:.2f}.",
        ),
        Effect.REPORT,
        1.0,
    )


def _as_training(training: Any, validation: Any) -> Any:
    def put(one: Any, other: Any) -> Any:
        a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
        return ((b - b.mean()) / b.std() * a.std() + a.mean()).astype(np.float32)

    return keras.tree.map_structure(put, training, validation)


def _stated(arrays: Any) -> str:
    values = np.asarray(leaves(arrays)[0], np.float64)
    return f"mean {values.mean():.3g} and deviation {values.std():.3g}"
