"""How the samples are shuffled."""

from collections import Counter

from loopbench.spec import Cause, Effect
from loopbench_diagnose.experiment import EPOCHS, Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence
from loopbench_diagnose.orders import Order, Shuffle, describe, indices
from loopbench_diagnose.reasons import Reason
from loopbench_diagnose.trace import Trace

# Fewer samples come in the same order twice by chance: 10! is above a million.
FEWEST = 10


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares the kinds of shuffle; that two shuffles differ by chance is no cause."""
    orders = [_order(experiment, trace) for trace in experiment.shuffled]
    if any(order is None for order in orders):
        return
    first, second = (order for order in orders if order is not None)
    same = "the same" if first.digest == second.digest else "another"
    if first.is_like(second):
        findings.control(
            "batch_order",
            f"Both sides are {max(first, second, key=_rank).shuffle}; the second's order is {same}: digests "
            f"{_digests(first, second)}.",
        )
        return
    weaker = 0 if _rank(first) < _rank(second) else 1
    findings.cause(
        Cause(
            reason=Reason.SHUFFLE,
            title=f"The first side is {first.shuffle}, the second is {second.shuffle}",
            evidence=(
                evidence(
                    "reach",
                    f"Places that the farthest of {len(experiment.data)} samples was moved to the front, first and second.",
                    float(first.reach),
                    float(second.reach),
                ),
                evidence("batch_order", f"Digests of the orders: {_digests(first, second)}."),
            ),
            consequence="Batches that hold neighbours, or the same samples every epoch, give other gradients: more so the "
            "more the data are sorted.",
            fix="Shuffle over the whole set and anew every epoch: shuffle(buffer_size=len(data), "
            "reshuffle_each_iteration=True) before batch(); fit's shuffle= does nothing for a tf.data.Dataset.",
            side=SIDES[weaker],
        ),
        Effect.TRAINING,
        abs(first.reach - second.reach) / len(experiment.data),
    )


def _digests(first: Order, second: Order) -> str:
    return f"{first.digest[:12]}… and {second.digest[:12]}…"


def _rank(order: Order) -> tuple[int, int]:
    return list(Shuffle).index(order.shuffle), order.reach


def _order(experiment: Experiment, trace: Trace) -> Order | None:
    """None where the samples of an epoch cannot be told, or there are too few to shuffle."""
    count = len(trace.steps) // EPOCHS
    # Equal samples cannot be told from each other; a shuffle of all is one of the others as well.
    times = Counter(experiment.rows(experiment.data))
    known = [key for key in experiment.rows(experiment.data) if times[key] == 1]
    epochs = [
        indices(
            [key for step in trace.steps[start : start + count] for key in step.call.rows if times[key] <= 1], known
        )
        for start in range(0, count * EPOCHS, count or 1)
    ]
    told = [epoch for epoch in epochs if epoch is not None]
    return describe(told) if len(told) == EPOCHS and len(known) >= FEWEST else None
