"""NaN and infinity: where and at which update first."""

from collections.abc import Mapping

from loopbench.spec import Cause, Effect, Evidence, Reason
from loopbench.text import counted
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, word

# Before all other causes: these may be a consequence.
SIZE = float("inf")


def probe(experiment: Experiment, findings: Findings) -> None:
    """Looks for a side whose weights or reported losses end as NaN or infinity."""
    found = {side: trace.divergence for side, trace in enumerate(experiment.epochs)}
    lost = {side: where for side, where in found.items() if where is not None}
    if not lost:
        steps = " and ".join(counted(len(trace.steps), "gradient") for trace in experiment.epochs)
        findings.control("finite", f"Losses and weights are finite on both sides, over {steps}.")
        return
    measured = [
        evidence(
            f"non_finite/{word(side)}",
            f"The {word(side)} side: the update at which NaN or infinity is first seen, in {where.place}.",
            None,
            float(where.update),
        )
        for side, where in lost.items()
    ]
    places = {side: f"at update {where.update}, first in {where.place}" for side, where in lost.items()}
    report(findings, places, measured)


def report(findings: Findings, places: Mapping[int, str], measured: list[Evidence]) -> None:
    """Adds the cause; ``places`` says of each side that diverged where it did."""
    stated = "; ".join(f"the {word(side)} {place}" for side, place in places.items())
    both = len(places) == len(SIDES)
    side, other = (None, None) if both else (next(iter(places)), word(1 - next(iter(places))))
    findings.cause(
        Cause(
            reason=Reason.NON_FINITE,
            title=f"{'Both sides diverge' if both else 'One side diverges'} to NaN or infinity: {stated}",
            evidence=tuple(measured),
            consequence="A weight that is not finite stays so. "
            + (
                "Both sides end with nothing that can be compared, even where they end in the same bits."
                if both
                else f"What the {other} side ends with cannot be compared with it."
            ),
            fix="Lower the learning rate or clip the gradients, and look for NaN and infinity in the data. Then "
            "diagnose again: causes that show only after the divergence are not found.",
            side=None if side is None else SIDES[side],
        ),
        Effect.TRAINING,
        SIZE,
    )
