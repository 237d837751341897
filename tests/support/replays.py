"""Hand-made diagnoses of loops with a replay."""

from loopbench.spec import Cause, Effect, Evidence, Side
from loopbench_diagnose.diagnosis import Diagnosis
from loopbench_diagnose.replay import FirstDifference, LayerRecord, MetricRecord, Replay, UpdateRecord, VariableRecord


def make_replay() -> Replay:
    """Three updates, two variables, four layers of which the third differs first, and three metrics."""
    return Replay(
        updates=tuple(
            UpdateRecord(number, distance, (0.05, 0.05), (32, samples), (1, 1), (0.5, 16.0))
            for number, distance, samples in ((1, 0.0, 32), (2, 1e-5, 16), (3, 0.1, 32))
        ),
        variables=(
            VariableRecord("dense/kernel", 32.0, (1.0, 1.0), (True, True)),
            VariableRecord("dense/bias", None, (None, 1.0), (False, True)),
        ),
        layers=(
            LayerRecord("conv2d", 0.0),
            LayerRecord("batch_normalization", 3e-8),
            LayerRecord("dropout", 0.41),
            LayerRecord("head", None),
        ),
        first_differing_layer="dropout",
        metrics=(
            MetricRecord("loss", (0.6931, 22.18), agrees=False),
            MetricRecord("accuracy", (0.91, 0.91), agrees=True),
            MetricRecord("val_auc", (None, 0.88), agrees=False),
        ),
        first_difference=FirstDifference(2, "layer outputs", "At update 2 the outputs of dropout differ by 41 %."),
        compared=("2 epochs, 10 updates, the metrics loss and accuracy.",),
        not_compared=("Initial weights were made equal.",),
    )


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
