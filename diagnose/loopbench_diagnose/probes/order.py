"""How the samples are shuffled."""

from collections import Counter
from dataclasses import replace

from loopbench.spec import Cause, Effect, Reason
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence
from loopbench_diagnose.orders import BUFFERS, Order, Shuffle, describe, indices
from loopbench_diagnose.replays import EPOCHS
from loopbench_diagnose.trace import Trace
from loopbench_diagnose.user_state import is_deterministic

# Fewer samples come in the same order twice by chance: 10! is above a million.
FEWEST = 10
FEWEST_BATCHES = 3


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares the kinds of shuffle; that two shuffles differ by chance is no cause."""
    if is_deterministic():
        stated = "Orders: with op determinism and a global seed, fit shuffles into the same order in every epoch."
        findings.control("batch_order_not_tested", stated)
        return
    if Reason.SAMPLES in findings.reasons:
        # What is drawn several times, or never, has no order that could be compared.
        return
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
            title=f"The first side is {_words(first)}, the second is {_words(second)}",
            evidence=(
                evidence(
                    "reach",
                    f"Places that the farthest of {len(experiment.ordered_data)} samples was moved to the front, "
                    f"first and second.",
                    float(first.reach),
                    float(second.reach),
                ),
                evidence("batch_order", f"Digests of the orders: {_digests(first, second)}."),
            ),
            consequence="Batches that hold neighbours, or the same samples every epoch, give other gradients: more "
            "so the "
            "more the data are sorted.",
            fix="Shuffle over the whole set and again every epoch: shuffle(buffer_size=len(data), "
            "reshuffle_each_iteration=True) before batch(); fit's shuffle= does nothing for a tf.data.Dataset.",
            side=SIDES[weaker],
        ),
        Effect.TRAINING,
        abs(first.reach - second.reach) / len(experiment.ordered_data),
    )


def _words(order: Order) -> str:
    return (
        "shuffled by whole batches, whose content never changes"
        if order.fixed_batches and order.shuffle in BUFFERS
        else str(order.shuffle)
    )


def _digests(first: Order, second: Order) -> str:
    return f"{first.digest[:12]}… and {second.digest[:12]}…"


def _rank(order: Order) -> tuple[int, bool, int]:
    return list(Shuffle).index(order.shuffle), not order.fixed_batches, order.reach


def _order(experiment: Experiment, trace: Trace) -> Order | None:
    """None where the samples of an epoch cannot be identified, or there are too few to shuffle."""
    count = len(trace.steps) // EPOCHS
    # Equal samples cannot be distinguished; a shuffle of all is one of the others as well.
    times = Counter(experiment.rows(experiment.ordered_data))
    known = [key for key in experiment.rows(experiment.ordered_data) if times[key] == 1]
    epochs = [
        indices(
            [key for step in trace.steps[start : start + count] for key in step.call.rows if times[key] <= 1], known
        )
        for start in range(0, count * EPOCHS, count or 1)
    ]
    stated = [epoch for epoch in epochs if epoch is not None]
    if len(stated) != EPOCHS or len(known) < FEWEST:
        return None
    return replace(describe(stated), fixed_batches=_fixed_batches(trace, count))


def _fixed_batches(trace: Trace, count: int) -> bool:
    """Whether the second epoch has the batches of the first; a few batches may come so by chance."""
    if count < FEWEST_BATCHES or max(len(step.call.rows) for step in trace.steps) == 1:
        return False
    epochs = [{frozenset(step.call.rows) for step in trace.steps[start : start + count]} for start in (0, count)]
    return epochs[0] == epochs[1]
