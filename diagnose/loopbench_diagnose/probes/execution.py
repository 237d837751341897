"""Eager, as a graph, or compiled by XLA: the same code executed in the side's own way and eagerly."""

from loopbench.spec import Cause, Effect, Reason
from loopbench_diagnose.effects import finite
from loopbench_diagnose.experiment import BATCH_EPOCHS, Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, multiple, word
from loopbench_diagnose.gradients import gap, subtract
from loopbench_diagnose.harness import Execution
from loopbench_diagnose.reuse import refuse_reuse

# Movements of the weights after a few steps; rounding stays below it, also where Adam divides rounding by rounding.
ROUNDING = 1e-2
# Another seed that changes the movement as much says that it is chance.
CHANCE = 0.1


def probe(experiment: Experiment, findings: Findings) -> None:
    """Runs each side on one batch both ways."""
    own = [_as_it_is(experiment, side) for side in (0, 1)]
    eager = [_eagerly(experiment, side, own[side]) for side in (0, 1)]
    distances = [_distance(experiment, eager[side], own[side]) for side in (0, 1)]
    for side in (0, 1):
        traced = _traced(experiment, side, own[side], eager[side])
        if traced is not None:
            _report_frozen(findings, side, traced)
        else:
            stated = f"The {word(side)} side as it is and run eagerly: distance of the weights' movement."
            findings.control(f"eager_and_graph_{word(side)}", stated, 0.0, distances[side])
    if own[0].by_xla != own[1].by_xla:
        _report_xla(findings, 0 if own[0].by_xla else 1, distances)


def _run(experiment: Experiment, side: int, **how: bool) -> Execution:
    data = experiment.first(experiment.batch_size)
    return experiment.harness.run(experiment.sides[side], data, BATCH_EPOCHS, **how)


def _as_it_is(experiment: Experiment, side: int) -> Execution:
    try:
        return _run(experiment, side)
    except Exception as error:
        refuse_reuse(error, f"the {word(side)} loop")
        raise


def _eagerly(experiment: Experiment, side: int, own: Execution) -> Execution:
    """The same code run eagerly, taken from an experiment that has shown it already where there is one."""
    if not own.in_graph:
        return own
    watched = experiment.batch()[side]
    # Without random layers, watched is as it is; what repeats itself to the bit would do so once more.
    if (
        watched.steps
        and not (watched.replaced_inputs or watched.noisy or experiment.diverges)
        and experiment.repeat_gap(side) == 0
    ):
        return Execution(watched.whole_weights, in_graph=False, by_xla=False, drawn=watched.drawn)
    return _run(experiment, side, eagerly=True)


def _traced(experiment: Experiment, side: int, own: Execution, eager: Execution) -> float | None:
    """The distance that tracing makes, if it makes one; XLA, which decides ties by rounding, has no part in it."""
    distance = _distance(experiment, eager, own)
    if distance <= max(ROUNDING, experiment.tolerance):
        return None
    if own.by_xla:
        return _traced(experiment, side, _run(experiment, side, by_xla=False), eager)
    # A function that draws by Python draws once, when it is traced.
    return distance if own.drawn != eager.drawn or not _is_chance(experiment, side, eager, distance) else None


def _distance(experiment: Experiment, eager: Execution, own: Execution) -> float:
    start = experiment.harness.initial_weights
    return gap(subtract(eager.weights, start), subtract(own.weights, start))


def _is_chance(experiment: Experiment, side: int, eager: Execution, distance: float) -> bool:
    other = _run(experiment, side, eagerly=True, reseed=True)
    return _distance(experiment, eager, other) > CHANCE * distance


def _report_frozen(findings: Findings, side: int, distance: float) -> None:
    findings.cause(
        Cause(
            reason=Reason.EAGER_AND_GRAPH,
            title=f"The {word(side)} side does something else in its tf.function than eagerly",
            evidence=(
                evidence(
                    "eager_and_graph", "As it is against eagerly: distance of the weights' movement.", 0.0, distance
                ),
            ),
            consequence=f"After {BATCH_EPOCHS} steps the movements differ by {multiple(distance)} their norm: "
            f"what is "
            "Python in a tf.function runs once, when it is traced.",
            fix="Keep what changes, such as a learning rate, a counter or noise, in tf.Variables and TensorFlow's "
            "operations; run both sides eagerly to see them agree.",
            side=SIDES[side],
        ),
        Effect.TRAINING,
        finite(distance),
    )


def _report_xla(findings: Findings, side: int, distances: list[float]) -> None:
    findings.cause(
        Cause(
            reason=Reason.XLA,
            title=f"Only the {word(side)} side is compiled by XLA",
            evidence=(
                evidence("distance_from_eager", "Movement of the weights against eager, first and second.", *distances),
            ),
            consequence="Sums are taken in another order: the weights differ by rounding, the accuracies hardly at "
            "all.",
            fix="Set jit_compile alike on both sides for the same bits; Model.compile's default turns it on where "
            "there is a GPU.",
            side=SIDES[side],
        ),
        Effect.ROUNDING,
        finite(distances[side]),
    )
