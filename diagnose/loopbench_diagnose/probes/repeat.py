"""The control: the same side twice."""

from loopbench.spec import Cause
from loopbench_diagnose.case import Case
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, word
from loopbench_diagnose.reasons import Reason


def probe(case: Case, findings: Findings) -> None:
    """A side that does not repeat itself from the same start cannot be compared with another."""
    for side, trace in enumerate(case.batch()):
        if not trace.steps:
            continue
        distance = case.repeat_gap(side)
        if distance < case.tolerance:
            findings.control(
                f"repeat_{word(side)}", f"The {word(side)} side twice: distance of the weights.", 0.0, distance
            )
            continue
        findings.cause(
            Cause(
                reason=Reason.NOT_REPEATABLE,
                title=f"The {word(side)} side does not repeat itself",
                evidence=(evidence("repeat", "The same run twice: distance of the weights' movement.", 0.0, distance),),
                effect="Part of the difference is chance, or what an earlier run left behind. Differences that have no "
                "name of their own are told once both sides repeat themselves.",
                fix="Make model, optimizer and metrics anew within the loop, and draw all that is random from a seed.",
                side=SIDES[side],
            ),
            Severity.TRAINING,
            distance,
        )
