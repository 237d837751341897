"""The control: the same side twice."""

from loopbench.spec import Cause, Effect, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, word


def probe(experiment: Experiment, findings: Findings) -> None:
    """A side that does not repeat itself from the same start cannot be compared with another."""
    for side, trace in enumerate(experiment.batch()):
        if not trace.steps:
            continue
        distance = experiment.repeat_gap(side)
        if distance < experiment.tolerance:
            findings.control(
                f"repeat_{word(side)}", f"The {word(side)} side twice: distance of the weights.", 0.0, distance
            )
            continue
        findings.cause(
            Cause(
                reason=Reason.NOT_REPEATABLE,
                title=f"The {word(side)} side does not repeat itself",
                evidence=(evidence("repeat", "The same run twice: distance of the weights' movement.", 0.0, distance),),
                consequence="Part of the difference is chance, or what an earlier run left behind. Differences that "
                "have no "
                "separate name are reported once both sides are repeatable.",
                fix="Make model, optimizer and metrics within the loop, and draw all that is random from a seed.",
                side=SIDES[side],
            ),
            Effect.TRAINING,
            distance,
        )
