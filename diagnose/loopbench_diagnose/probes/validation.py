"""What the validation is made on."""

from loopbench.spec import Cause, Effect, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, word
from loopbench_diagnose.reports import Reports
from loopbench_diagnose.trace import Call


def probe(experiment: Experiment, findings: Findings) -> None:
    """Counts the samples, and looks at the training flag."""
    data = experiment.data.validation
    if data is None:
        return
    calls = [Reports(experiment, side).last_validation_calls() for side in (0, 1)]
    counts = [len({key for call in made for key in call.rows}) for made in calls]
    whole = len(set(experiment.rows(data)))
    for side in (0, 1):
        if not calls[side]:
            findings.control("validation", f"The {word(side)} side was not seen to evaluate the validation set.")
        elif counts[side] == whole:
            findings.control(
                "validation_samples",
                f"The {word(side)} side evaluates the whole set.",
                float(whole),
                float(counts[side]),
            )
        elif counts[side] != counts[1 - side]:
            _report_part(findings, side, counts[side], whole)
    _report_mode(experiment, findings, calls)


def _report_part(findings: Findings, side: int, count: int, whole: int) -> None:
    findings.cause(
        Cause(
            reason=Reason.VALIDATION_SAMPLES,
            title=f"The {word(side)} side validates on {count} of {whole} samples",
            evidence=(
                evidence(
                    "validation_samples", f"Samples that the {word(side)} side evaluated.", float(whole), float(count)
                ),
            ),
            consequence="The reported figure is that of a part of the set. The weights are not touched.",
            fix="Evaluate every batch of the set and take the mean over its samples.",
            side=SIDES[side],
        ),
        Effect.REPORT,
        1 - count / whole,
    )


def _report_mode(experiment: Experiment, findings: Findings, calls: list[list[Call]]) -> None:
    flags = [any(call.training for call in made) for made in calls]
    if flags[0] == flags[1] or not experiment.harness.depends_on_training(experiment.data):
        return
    side = 0 if flags[0] else 1
    findings.cause(
        Cause(
            reason=Reason.EVALUATED_IN_TRAINING_MODE,
            title=f"The {word(side)} side evaluates with training=True",
            evidence=(evidence("training_flag", "The flag while evaluating; 0 is inference.", 0.0, 1.0),),
            consequence="Dropout stays on and batch normalization takes the batch's own statistics, and moves its "
            "averages.",
            fix="Call model(x, training=False) to evaluate.",
            side=SIDES[side],
        ),
        Effect.REPORT,
        1.0,
    )
