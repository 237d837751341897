"""Variables that one side trains and the other does not."""

from collections.abc import Iterable

from loopbench.spec import Effect, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, joined, word

FIX = (
    "Pass the same list of variables to tape.gradient and to the optimizer on both sides: model.trainable_variables, "
    "read "
    "after all layers are built and after `trainable` is set."
)
MOST_NAMED = 6


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares the variables that each side trains, over the replay and update by update."""
    comparison = experiment.comparison
    trained = comparison.trained_at_all
    # A gradient of NaN trains what would get none.
    if not all(trained) or Reason.NON_FINITE in findings.reasons:
        return
    for side in (0, 1):
        if missing := trained[1 - side] - trained[side]:
            _report(experiment, findings, side, missing, "")
            return
    number = _first_update(experiment)
    if number is None:
        stated = f"Both sides train the same {len(trained[0])} variables."
        findings.control("variables", stated, float(len(trained[0])), float(len(trained[1])))
        return
    sets = [comparison.trained(side)[number] for side in (0, 1)]
    side = 0 if len(sets[0]) < len(sets[1]) else 1
    _report(experiment, findings, side, sets[1 - side] - sets[side], f" in update {number + 1}")


def _first_update(experiment: Experiment) -> int | None:
    """The first update in which the sides train other variables, with nothing else that differs before."""
    comparison = experiment.comparison
    parted = comparison.first
    last = comparison.aligned if parted is None else min(comparison.aligned, parted.update + 1)
    found = (k for k in range(last) if comparison.trained(0)[k] != comparison.trained(1)[k])
    number = next(found, None)
    if number is None or not all(comparison.trained(side)[number] for side in (0, 1)):
        return None
    return number


def _report(experiment: Experiment, findings: Findings, side: int, missing: Iterable[int], when: str) -> None:
    names = [experiment.harness.names[place] for place in sorted(missing)]
    shown = joined([*names[:MOST_NAMED], *([f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else [])])
    findings.cause(
        difference(
            Reason.VARIABLES_LEFT_OUT,
            f"The {word(side)} side does not train {shown}{when}; the {word(1 - side)} side does",
            [
                evidence("variables", f"Variables that only the {word(1 - side)} side trains{when}: {shown}."),
                evidence(
                    "trained",
                    "Variables that are trained, first and second.",
                    *(float(len(found)) for found in experiment.comparison.trained_at_all),
                ),
            ],
            consequence=f"{len(names)} of {len(experiment.harness.names)} variables stay as they are on the "
            f"{word(side)} side.",
            fix=FIX,
            side=side,
        ),
        Effect.TRAINING,
        len(names) / len(experiment.harness.names),
    )
