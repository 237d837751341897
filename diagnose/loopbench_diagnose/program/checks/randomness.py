"""Augmentations and noise that are the same at every step."""

from loopbench.spec import Effect, Reason
from loopbench_diagnose.data import sample_keys
from loopbench_diagnose.findings import Findings, difference, evidence
from loopbench_diagnose.interventions import ONE_SAMPLE
from loopbench_diagnose.probes.randomness import FEWEST, repeats_draws, repeats_inputs
from loopbench_diagnose.program.run import Program


def check(program: Program, findings: Findings) -> None:
    """Compares the draws of the watched steps, and what the loop does to one sample in several batches."""
    if Reason.REPEATED_RANDOMNESS in findings.reasons:
        return
    if not repeats_draws(program.trace) and not (_changes_inputs(program) and _repeats_inputs(program)):
        return
    findings.cause(
        difference(
            Reason.REPEATED_RANDOMNESS,
            "The loop draws the same random numbers at every step",
            [evidence("repeated", "Whether consecutive steps draw the same; 1 is yes.", 0.0, 1.0)],
            consequence="Masks, noise or augmentations do not vary over the training: the model sees one draw of them.",
            fix="Create the random generator once, before the loop, and set no seed within it; give layers a "
            "SeedGenerator in place of a number.",
        ),
        Effect.TRAINING,
        1.0,
    )


def _changes_inputs(program: Program) -> bool:
    known = set(sample_keys(program.watched_data.x))
    return any(key not in known for step in program.trace.steps for key in step.call.rows)


def _repeats_inputs(program: Program) -> bool:
    size = len(program.trace.steps[0].call.rows)
    data = ONE_SAMPLE.data(program.watched_data.rows(slice(2 * size + 1)))
    return repeats_inputs(program.harness.watch(program.side, data, 1, updates=2 * FEWEST))
