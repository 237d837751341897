"""Compares a loop with the stock training that it amounts to."""

from collections.abc import Callable

import numpy as np

from loopbench.spec import Cause, Effect, Reason
from loopbench.spec import Side as Fault
from loopbench_diagnose.asking import ask, replay_of
from loopbench_diagnose.effects import inner
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, evidence
from loopbench_diagnose.probes import PROBES
from loopbench_diagnose.probes.optimizer_state import restarts
from loopbench_diagnose.program.recovery import NotRecoveredError
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.program.wording import reworded, reworded_replay, said
from loopbench_diagnose.progress import Progress
from loopbench_diagnose.settings import comparable
from loopbench_diagnose.side import Side
from loopbench_diagnose.trace import Trace

# Differences from stock training that are faults of any loop.
FAULTS = frozenset(
    {
        Reason.NON_FINITE,
        Reason.SAMPLE_WEIGHTS,
        Reason.TRAINING_FLAG,
        Reason.LABELS_BROADCAST,
        Reason.FROM_LOGITS,
        Reason.PAIRS_SHUFFLED_APART,
        Reason.REGULARIZATION,
        Reason.STALE_GRADIENTS,
        Reason.RESUME,
        Reason.WEIGHTS_RESET,
        Reason.LAYER_STATE,
        Reason.REPEATED_RANDOMNESS,
        Reason.EAGER_AND_GRAPH,
        Reason.UNFED_METRIC,
        Reason.ACCURACY_METRIC,
        Reason.VALIDATION_SAMPLES,
        Reason.VALIDATION_DATA,
        Reason.EVALUATED_IN_TRAINING_MODE,
        Reason.UNREPORTED_PENALTY,
        Reason.SCALED_FIGURE,
    }
)
# Those that may be meant: faults where stock training reaches a clearly better score.
MEASURED = frozenset(
    {
        Reason.LOSS_REDUCTION,
        Reason.FIXED_DIVISOR,
        Reason.ACCUMULATION,
        Reason.LABELS,
        Reason.MASK,
        Reason.VARIABLES_LEFT_OUT,
        Reason.SAMPLES,
        Reason.SHUFFLE,
    }
)
# Faults that stock training alone has, because it is configured by what the loop's optimizer shows.
OF_STOCK = frozenset({Reason.LOSS_SCALING})
# Scores that differ by less say nothing.
MARGIN = 0.03
SEEDS = (0, 1, 2)


def compare(program: Program, findings: Findings, progress: Progress) -> None:
    """Adds what the loop does otherwise than stock training: faults as causes, and the rest as notes."""
    if program.is_stock:
        findings.note("The loop is compile and fit: it was not compared with itself.")
        return
    try:
        stock = _stock(program)
    except NotRecoveredError as error:
        findings.left_out(f"comparison with stock training: left out, because {error}")
        return
    experiment = Experiment(program.harness, program.watched_data, (stock, program.bounded_side))
    try:
        found = ask(
            experiment, PROBES, lambda name, done, total: progress(f"{name} (against stock training)", done, total)
        )
    except Exception as error:  # noqa: BLE001  the loop itself has run: what fails is what was recovered of it
        findings.not_tested("comparison with stock training", error)
        return
    findings.replay = reworded_replay(replay_of(experiment, found))
    _take(program, experiment.comparison.traces[1], found, findings)


def _stock(program: Program) -> Side:
    """Stock training on the samples as the loop prepares them: that it does is no difference."""
    train, prepare = program.configuration.loop(), program.prepare
    return Side(lambda model, data, epochs: train(model, prepare(data), epochs))


def _take(program: Program, trace: Trace, found: Findings, findings: Findings) -> None:
    """Moves what was found of both sides to the findings on the program."""
    # What stock training gains of a fault that is certain would be taken for the gain of other differences, too.
    certain = any(
        cause.reason in FAULTS - {Reason.NON_FINITE}
        and cause.effect is Effect.TRAINING
        and JUDGES[cause.reason](program, trace, cause) is not None
        for _, cause in found.ranked
    )
    for size, cause in found.ranked:
        if cause.side is Fault.FIRST and cause.reason in OF_STOCK:
            continue
        if cause.reason == Reason.LEARNING_RATE_SCHEDULE and _follows_the_epochs(program, trace):
            continue
        stated = reworded(cause)
        # Stock training is at fault where its configuration is not the loop's: the loop is not.
        blamed = cause.side is not Fault.FIRST and not (certain and cause.reason in MEASURED)
        judge = JUDGES.get(cause.reason, _never) if blamed else _never
        accepted = judge(program, trace, stated)
        if accepted is None:
            findings.note(f"Unlike stock training: {stated.title}.")
        else:
            findings.cause(accepted, cause.effect, size)
    if findings.reasons & MEASURED:
        # Stock training, which is finite, shows what the loop diverges of.
        findings.drop({Reason.NON_FINITE})
    fields = found.fields()
    findings.agree(one.model_copy(update={"description": said(one.description)}) for one in fields["controls"])
    for sentence in fields["not_tested"]:
        findings.left_out(said(sentence))


def _follows_the_epochs(program: Program, trace: Trace) -> bool:
    """Whether the loop makes its schedule of the epochs that it is called with: these are fewer in a replay."""
    used = [*trace.optimizers[-1:], program.configuration.optimizer]
    rates = [comparable(inner(optimizer)).get("learning_rate") for optimizer in used]
    kinds = {rate[0] for rate in rates if isinstance(rate, tuple)}
    return len(kinds) == 1 and rates[0] != rates[-1]


def _never(program: Program, trace: Trace, cause: Cause) -> Cause | None:  # noqa: ARG001  a judge's signature
    return None


def _always(program: Program, trace: Trace, cause: Cause) -> Cause | None:  # noqa: ARG001
    return cause


def _where_the_model_has_a_penalty(program: Program, trace: Trace, cause: Cause) -> Cause | None:  # noqa: ARG001
    """The cause unless the model adds no losses: a loop may then write a penalty by hand."""
    return cause if program.harness.prototype.losses else None


def _within_a_phase(program: Program, trace: Trace, cause: Cause) -> Cause | None:  # noqa: ARG001
    """The cause unless each new optimizer begins a phase: it has other settings, or trains other variables."""
    pairs = [(trace.updates_made[number - 1], trace.updates_made[number]) for number in restarts(trace)]
    return None if pairs and all(before.settings != after.settings for before, after in pairs) else cause


def _where_it_helps(program: Program, trace: Trace, cause: Cause) -> Cause | None:  # noqa: ARG001
    """The cause where stock training reaches a clearly better score than the loop, after the same updates."""
    scores = np.array([_scores(program, seed) for seed in SEEDS])
    loop, stock = scores.mean(axis=0)
    spread = float(np.ptp(scores, axis=0).max())
    if not stock - loop > MARGIN + spread:
        return None
    stated = f"{program.score_name}, mean over {len(SEEDS)} seeds"
    measured = evidence("score", f"{stated}: stock training, and the loop, after as many updates.", stock, loop)
    return cause.model_copy(
        update={
            "evidence": (*cause.evidence, measured),
            "fix": f"{cause.fix} With stock training: {stated}, {loop:.2f} → {stock:.2f} after as many updates.",
        }
    )


def _scores(program: Program, seed: int) -> tuple[float, float]:
    """Of the loop and of stock training, after the same number of updates from the same weights."""
    updates = program.updates()
    return program.rerun(updates=updates, seed=seed).score, program.trial(updates=updates, seed=seed).score


# Returns the cause where the difference is a fault of the loop; None where it is a note.
Judge = Callable[[Program, Trace, Cause], Cause | None]
JUDGES: dict[str, Judge] = {
    **dict.fromkeys(FAULTS, _always),
    **dict.fromkeys(MEASURED, _where_it_helps),
    Reason.OPTIMIZER_RECREATED: _within_a_phase,
    Reason.REGULARIZATION: _where_the_model_has_a_penalty,
}
