"""Hand-made diagnoses of loops with a replay."""

from loopbench.spec import Cause, Effect, Evidence, Side
from loopbench_diagnose.diagnosis import Diagnosis
from tests.support.replays import make_replay


def make_diagnosis() -> Diagnosis:
    """A cause in the training, one in the report and one within rounding."""
    measured = (Evidence(name="gradient_ratio", description="Second over first.", expected=1, observed=32.0),)
    reduction = Cause(
        reason="LOSS_REDUCTION",
        title="The second loss, and with it every gradient, is 32 times the first",
        evidence=measured,
        consequence="Under SGD every step is 32 times as long.",
        fix="Use the mean over the batch. Then diagnose again.",
    )
    last = Cause(
        reason="LAST_BATCH",
        title="What the second side reports as loss is the last batch's",
        evidence=(),
        consequence="The value says little of the epoch.",
        fix="Return the mean over the samples.",
        side=Side.SECOND,
        effect=Effect.REPORT,
    )
    compiled = last.model_copy(
        update={"reason": "XLA", "title": "Only the second side is compiled by XLA", "effect": Effect.ROUNDING}
    )
    return Diagnosis(
        causes=(reduction, last),
        controls=measured,
        rounding=(compiled,),
        not_tested=("Order: not tested because the second loop raised ZeroDivisionError.",),
        replay=make_replay(),
    )
