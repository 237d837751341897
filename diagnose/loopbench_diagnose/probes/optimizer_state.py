"""The state of an optimizer: it has to last over the training, also over a save and a reload."""

from typing import Any

from loopbench.spec import Effect, Reason
from loopbench_diagnose.effects import inner
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, joined, multiple, word
from loopbench_diagnose.trace import Trace

# Variables that every optimizer has: its iterations and its learning rate.
STATELESS = 2


def probe(experiment: Experiment, findings: Findings) -> None:
    """Looks for an optimizer whose state restarts, on one side alone."""
    traces = experiment.comparison.traces
    found = [restarts(trace) for trace in traces]
    if bool(found[0]) == bool(found[1]):
        findings.control("optimizer_state", "The state of the optimizers lasts over the replay alike on both sides.")
        return
    side = 0 if found[0] else 1
    numbers = found[side]
    loaded = [what for number in numbers for what in traces[side].updates_made[number].loads]
    shown = joined([str(number + 1) for number in numbers[:4]])
    if loaded:
        _lost(experiment, findings, side, numbers[0], loaded[0])
        return
    findings.cause(
        difference(
            Reason.OPTIMIZER_RECREATED,
            f"The {word(side)} side's optimizer starts from an empty state at update {shown}",
            [
                evidence(
                    "restarts",
                    f"Updates at which the {word(side)} side's optimizer state restarts.",
                    0.0,
                    float(len(numbers)),
                ),
                evidence(
                    "weight_distance", "Distance of the trained weights.", 0.0, experiment.comparison.final_distance
                ),
            ],
            consequence="Momentum and running averages are lost each time, and the bias correction of Adam restarts: "
            "the "
            f"trained weights differ by {multiple(experiment.comparison.final_distance)} their movement.",
            fix="Create the optimizer, or call compile, once before the first epoch.",
            side=side,
        ),
        Effect.TRAINING,
        min(experiment.comparison.final_distance, 1e9),
    )


def _lost(experiment: Experiment, findings: Findings, side: int, number: int, how: str) -> None:
    updates = experiment.comparison.traces[side].updates_made
    counts = [float(max(updates[place].iterations.values(), default=0)) for place in (number - 1, number)]
    findings.cause(
        difference(
            Reason.RESUME,
            f"The {word(side)} side loses the state of its optimizer where it reloads by {how}, before update "
            f"{number + 1}",
            [
                evidence(
                    "iterations",
                    "The optimizer's iterations after the updates before and after the reload.",
                    counts[0] + 1,
                    counts[1],
                ),
                evidence(
                    "weight_distance", "Distance of the trained weights.", 0.0, experiment.comparison.final_distance
                ),
            ],
            consequence="Momentum, running averages and the iteration count restart at zero.",
            fix="Save and load the whole model with its optimizer (model.save, load_model with compile=True), or "
            "restore a "
            "tf.train.Checkpoint(model=…, optimizer=…).",
            side=side,
        ),
        Effect.TRAINING,
        min(experiment.comparison.final_distance, 1e9),
    )


def restarts(trace: Trace) -> list[int]:
    """Updates whose optimizer has forgotten an earlier update of the same variable, where it has a state to forget."""
    last: dict[int, tuple[Any, int]] = {}
    found = []
    updates = trace.updates_made
    for number, update in enumerate(updates):
        for place, optimizer in update.optimizers.items():
            known = last.get(place)
            if known is not None and _has_state(optimizer) and _forgets(known, trace, number, place):
                found.append(number)
                break
        for place, optimizer in update.optimizers.items():
            last[place] = optimizer, update.iterations[place]
    return found


def _forgets(known: tuple[Any, int], trace: Trace, number: int, place: int) -> bool:
    former, count = known
    update = trace.updates_made[number]
    optimizer, iterations = update.optimizers[place], update.iterations[place]
    if former is optimizer:
        return iterations < count
    # Two optimizers may take turns, as those of a generator and a discriminator.
    later = any(update.optimizers.get(place) is former for update in trace.updates_made[number:])
    earlier = any(update.optimizers.get(place) is optimizer for update in trace.updates_made[:number])
    return not later and not earlier and iterations <= count


def _has_state(optimizer: Any) -> bool:
    made = inner(optimizer)
    return len(made.variables) > STATELESS or callable(getattr(made, "_learning_rate", None))
