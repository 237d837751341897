"""Eager, as a graph, or compiled by XLA: the same code executed in the side's own way and eagerly."""

from loopbench.spec import Cause
from loopbench_diagnose.case import BATCH_EPOCHS, Case
from loopbench_diagnose.consequences import finite
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, percent, word
from loopbench_diagnose.gradients import gap, subtract
from loopbench_diagnose.lab import Execution
from loopbench_diagnose.reasons import Reason

# Movements of the weights after a few steps; rounding stays below it, also where Adam divides rounding by rounding.
ROUNDING = 1e-2
# Another seed that changes the movement as much says that it is chance.
CHANCE = 0.1


def probe(case: Case, findings: Findings) -> None:
    """Runs each side on one batch both ways."""
    data = case.first(case.batch_size)
    own = [case.lab.run(side, data, BATCH_EPOCHS) for side in case.sides]
    eager = [_eagerly(case, side, own[side]) for side in (0, 1)]
    distances = [_distance(case, eager[side], own[side]) for side in (0, 1)]
    for side in (0, 1):
        differs = distances[side] > max(ROUNDING, case.tolerance)
        if differs and (
            own[side].drawn != eager[side].drawn or not _is_chance(case, side, eager[side], distances[side])
        ):
            # A function that draws by Python draws once, when it is traced.
            _tell_frozen(findings, side, distances[side])
        else:
            told = f"The {word(side)} side as it is and run eagerly: distance of the weights' movement."
            findings.control(f"eager_and_graph_{word(side)}", told, 0.0, distances[side])
    if own[0].by_xla != own[1].by_xla:
        _tell_xla(findings, 0 if own[0].by_xla else 1, distances)


def _eagerly(case: Case, side: int, own: Execution) -> Execution:
    """The same code run eagerly, taken from an experiment that has shown it already where there is one."""
    if not own.in_graph:
        return own
    watched = case.batch()[side]
    # Without random layers, watched is as it is; what repeats itself to the bit would do so once more.
    if watched.steps and not (watched.noisy or case.diverges) and case.repeat_gap(side) == 0:
        return Execution(watched.weights, in_graph=False, by_xla=False, drawn=watched.drawn)
    return case.lab.run(case.sides[side], case.first(case.batch_size), BATCH_EPOCHS, eagerly=True)


def _distance(case: Case, eager: Execution, own: Execution) -> float:
    start = case.lab.initial_weights
    return gap(subtract(eager.weights, start), subtract(own.weights, start))


def _is_chance(case: Case, side: int, eager: Execution, distance: float) -> bool:
    data = case.first(case.batch_size)
    other = case.lab.run(case.sides[side], data, BATCH_EPOCHS, eagerly=True, reseed=True)
    return _distance(case, eager, other) > CHANCE * distance


def _tell_frozen(findings: Findings, side: int, distance: float) -> None:
    findings.cause(
        Cause(
            reason=Reason.EAGER_AND_GRAPH,
            title=f"The {word(side)} side does something else in its tf.function than eagerly",
            evidence=(
                evidence(
                    "eager_and_graph", "As it is against eagerly: distance of the weights' movement.", 0.0, distance
                ),
            ),
            effect=f"After {BATCH_EPOCHS} steps the movements differ by {percent(distance)} of their length: what is "
            "Python in a tf.function runs once, when it is traced.",
            fix="Keep what changes, such as a learning rate, a counter or noise, in tf.Variables and TensorFlow's "
            "operations; run both sides eagerly to see them agree.",
            side=SIDES[side],
        ),
        Severity.TRAINING,
        finite(distance),
    )


def _tell_xla(findings: Findings, side: int, distances: list[float]) -> None:
    findings.cause(
        Cause(
            reason=Reason.XLA,
            title=f"Only the {word(side)} side is compiled by XLA",
            evidence=(
                evidence("distance_from_eager", "Movement of the weights against eager, first and second.", *distances),
            ),
            effect="Sums are taken in another order: the weights differ by rounding, the accuracies hardly at all.",
            fix="Set jit_compile alike on both sides for the same bits; Model.compile's default turns it on where "
            "there is a GPU.",
            side=SIDES[side],
        ),
        Severity.ROUNDING,
        finite(distances[side]),
    )
