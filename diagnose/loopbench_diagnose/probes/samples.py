"""Which samples are trained on: all of them, once an epoch."""

from collections import Counter

from loopbench.spec import Effect, Reason
from loopbench.text import counted
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, word
from loopbench_diagnose.trace import Step, Trace

# Samples that come again within an epoch, of those that are fed: more than by a padded last batch.
REPEATED = 0.1


def probe(experiment: Experiment, findings: Findings) -> None:
    """Looks for samples that come several times an epoch, never, or from the validation set."""
    unique = len(set(experiment.rows(experiment.ordered_data)))
    if unique < len(experiment.ordered_data):
        # Equal samples cannot be distinguished.
        return
    stated = [_fault(experiment, trace) for trace in experiment.shuffled]
    if bool(stated[0]) == bool(stated[1]):
        findings.control("samples", "Both sides take their samples alike from the training set.")
        return
    side = 0 if stated[0] else 1
    what, fix, count = stated[side] or ("", "", 0)
    findings.cause(
        difference(
            Reason.SAMPLES,
            f"The {word(side)} side {what}",
            [
                evidence(
                    "samples",
                    f"Different samples that the {word(side)} side trains on, of {unique}.",
                    float(unique),
                    float(count),
                )
            ],
            consequence="The gradients are those of other samples, so the trained weights differ.",
            fix=fix,
            side=side,
        ),
        Effect.TRAINING,
        1.0,
    )


def _fault(experiment: Experiment, trace: Trace) -> tuple[str, str, int] | None:
    known = frozenset(experiment.rows(experiment.ordered_data))
    validation = experiment.data.validation
    held = set(experiment.rows(validation)) - known if validation is not None else set()
    fed = [step.call.rows for step in _distinct(trace)]
    keys = [key for rows in fed for key in rows]
    if not keys or not (known | held).issuperset(keys):
        return None
    seen = set(keys)
    taken = seen & held
    if taken:
        return (
            f"trains on {counted(len(taken), 'sample')} of the validation set",
            "Keep the validation set apart: concatenate and shuffle the training set alone.",
            len(seen),
        )
    size = max(map(len, fed))
    if len(seen) == size < len(known) and sum(len(rows) == size for rows in fed) > trace.epochs:
        return (
            "trains on the same batch at every update",
            "Take the next batch at every update: keep one iterator over the data, or advance the index.",
            len(seen),
        )
    epoch = keys[: len(keys) // trace.epochs]
    repeats = sum(count - 1 for count in Counter(epoch).values())
    if repeats > REPEATED * len(epoch) and len(set(epoch)) < len(known) * (1 - REPEATED):
        return (
            f"draws samples with replacement: {repeats} of {len(epoch)} in an epoch are repeats",
            "Go through one permutation of the data an epoch.",
            len(seen),
        )
    missing = len(known) - len(seen)
    if missing >= max(len(rows) for rows in fed) and missing > REPEATED * len(known):
        return (
            f"never trains on {missing} of {len(known)} samples",
            (
                "Train both sides on the same samples: hold out the same part (validation_split, steps_per_epoch, "
                "take, "
                "skip)."
            ),
            len(seen),
        )
    return None


def _distinct(trace: Trace) -> list[Step]:
    """Steps without those that take another gradient of the same batch for the same update."""
    if not trace.updates_made:
        return trace.steps
    found = []
    for update in trace.updates_made:
        rows: list[list[bytes]] = []
        for step in update.steps:
            if step.call.rows not in rows:
                rows.append(step.call.rows)
                found.append(step)
    return found
