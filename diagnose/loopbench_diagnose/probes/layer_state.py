"""State that is not trained: moving statistics, and the states of recurrent layers."""

from loopbench.spec import Effect, Reason
from loopbench_diagnose.comparison import Comparison, Difference
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, joined, word

# Causes that move the state as well.
UPSTREAM = frozenset({Reason.TRAINING_FLAG, Reason.MODEL, Reason.EVALUATED_IN_TRAINING_MODE, Reason.NOT_REPEATABLE})


def probe(experiment: Experiment, findings: Findings) -> None:
    """Names the state that differs first, where nothing before it does."""
    if findings.reasons & UPSTREAM:
        return
    comparison = experiment.comparison
    found = comparison.first
    if found is not None and found.place in ("state before", "state after"):
        _report(experiment, findings, comparison, found)
    elif found is None:
        findings.control("state", "State that is not trained agrees on both sides after every update.")


def _report(experiment: Experiment, findings: Findings, comparison: Comparison, found: Difference) -> None:
    names = [experiment.harness.state_names[int(place)] for place in found.variables]
    before = found.place == "state before"
    changed = [side for side in (0, 1) if comparison.state_changed_before(side, found.update)] if before else []
    side = changed[0] if len(changed) == 1 else None
    if side is not None:
        title = (
            f"The {word(side)} side changes {joined(names)} before update {found.update + 1}, outside of the "
            f"model's call"
        )
        fix = (
            "Reset the state of recurrent layers at the same times on both sides: fit resets nothing between "
            "batches and epochs."
        )
    else:
        title = f"{joined(names)} differ after update {found.update + 1}, although weights and inputs agree"
        fix = "Use the same momentum, and call the model in the same mode and as often, on both sides."
    trained = comparison.final_distance > 1e-3  # noqa: PLR2004
    findings.cause(
        difference(
            Reason.LAYER_STATE,
            title,
            [
                evidence("state_gap", f"Relative distance of the state at update {found.update + 1}.", 0.0, found.size),
                evidence("weight_distance", "Distance of the trained weights.", 0.0, comparison.final_distance),
            ],
            consequence="The trained weights follow."
            if trained
            else "The trained weights agree, and the predictions do not.",
            fix=fix,
            side=side,
        ),
        Effect.TRAINING if trained else Effect.STATE,
        min(1000000000.0, found.size),
    )
