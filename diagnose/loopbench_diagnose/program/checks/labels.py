"""Labels that say nothing, and labels that belong to other samples."""

import numpy as np

from loopbench.spec import Effect
from loopbench_diagnose.data import leaves, sample_keys
from loopbench_diagnose.findings import Findings, difference, evidence
from loopbench_diagnose.orders import indices
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.reasons import Reason


def check(program: Program, findings: Findings) -> None:
    """Counts the different labels that the loop feeds, and compares them with those of the data."""
    fed, given = leaves(program.data.y), leaves(program.given.y)
    for number, labels in enumerate(fed):
        values = np.asarray(labels)
        count = len(np.unique(values.reshape(len(values), -1), axis=0))
        if count == 1 and len(values) > 1:
            known = np.asarray(given[number]) if number < len(given) else values
            before = len(np.unique(known.reshape(len(known), -1), axis=0))
            _report_constant(findings, count, before)
            return
    if len(fed) == len(given) == 1:
        _check_pairs(program, findings, np.asarray(fed[0]), np.asarray(given[0]))


def _report_constant(findings: Findings, count: int, before: int) -> None:
    findings.cause(
        difference(
            Reason.LABELS,
            "All samples that the loop feeds have the same label",
            [evidence("labels", "Different labels in the data, and as the loop feeds them.", before, count)],
            consequence="Every model that gives this label is right: nothing is learnt of the inputs.",
            fix="Feed the labels of the data. Scale the inputs alone, and turn labels into integers last.",
        ),
        Effect.TRAINING,
        2.0,
    )


def _check_pairs(program: Program, findings: Findings, fed: np.ndarray, given: np.ndarray) -> None:
    """Samples that the loop feeds unchanged have to come with their labels."""
    places = indices(sample_keys(program.data.x), sample_keys(program.given.x))
    if places is None or fed.shape[1:] != given.shape[1:] or not np.array_equal(np.unique(fed), np.unique(given)):
        return
    same = (fed == given[places]).reshape(len(fed), -1).all(axis=1).mean()
    if same == 1:
        return
    findings.cause(
        difference(
            Reason.PAIRS_SHUFFLED_APART,
            "The loop feeds samples with the labels of other samples",
            [evidence("pairs", "The part of the samples that have their labels.", 1.0, float(same))],
            consequence="Inputs and labels have nothing to do with each other.",
            fix="Shuffle inputs and labels by the same order: order = rng.permutation(len(x)); x[order], y[order].",
        ),
        Effect.TRAINING,
        2.0,
    )
