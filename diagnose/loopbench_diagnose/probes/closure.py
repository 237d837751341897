"""Every difference is accounted for: what no cause explains is reported with both values and the place."""

from loopbench.spec import Effect, Reason
from loopbench_diagnose.comparison import Difference
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, joined, multiple

# Causes that touch the training but make no difference in one sample order, run eagerly from equal weights.
NOT_IN_REPLAY = frozenset({Reason.SHUFFLE, Reason.EAGER_AND_GRAPH, Reason.XLA})
# Of the weights' movements: more than what sound pairs grow apart by rounding.
ROUNDING = 2e-2


def state_differs(found: Difference | None) -> bool:
    """Whether the sides part in state that is not trained."""
    return found is not None and found.place.startswith("state")


def probe(experiment: Experiment, findings: Findings) -> None:
    """Adds UNEXPLAINED_UPDATE or UNEXPLAINED_STATE where the replays part and nothing says why."""
    comparison = experiment.comparison
    found = comparison.first
    known = {
        cause.reason for cause in findings.causes if cause.effect in (Effect.TRAINING, Effect.STATE)
    } - NOT_IN_REPLAY
    measured = evidence(
        "weight_distance",
        "Distance of the trained weights, relative to their movement over the replay.",
        0.0,
        comparison.final_distance,
    )
    if found is not None and found.place == "samples" and Reason.SHUFFLE in findings.reasons:
        # An order that the loop makes by itself, as by sorting, stays where nothing shuffles.
        return
    if known or (state_differs(found) and Reason.EVALUATED_IN_TRAINING_MODE in findings.reasons):
        return
    if found is None and comparison.final_distance < max(ROUNDING, experiment.tolerance):
        findings.agree([measured])
        return
    state = state_differs(found)
    where = "over the replay" if found is None else f"in update {found.update + 1}, in the {found.place}"
    names = joined([*found.variables[:6]]) if found is not None and found.variables and not state else ""
    size = comparison.final_distance if found is None else found.size
    findings.cause(
        difference(
            Reason.UNEXPLAINED_STATE if state else Reason.UNEXPLAINED_UPDATE,
            f"The sides part {where}, and no experiment explains it",
            [
                evidence("gap", f"Relative distance {where}{': ' + names if names else ''}.", 0.0, size),
                measured,
            ],
            consequence=f"The trained weights differ by {multiple(comparison.final_distance)} their movement.",
            fix="Compare both programs at this place.",
        ),
        Effect.STATE if state and comparison.final_distance < ROUNDING else Effect.TRAINING,
        min(size, 1e9),
    )
