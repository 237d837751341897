"""How the samples are shuffled."""

from loopbench.spec import Cause
from loopbench_diagnose.case import EPOCHS, Case
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence
from loopbench_diagnose.orders import Order, Shuffle, describe, indices
from loopbench_diagnose.trace import Trace

# Buffers are told from each other where one reaches less than this part of the other's way.
SAME_REACH = 0.67


def probe(case: Case, findings: Findings) -> None:
    """Compares the kinds of shuffle; that two shuffles differ by chance is no cause."""
    orders = [_order(case, trace) for trace in case.epochs]
    if any(order is None for order in orders):
        return
    first, second = (order for order in orders if order is not None)
    alike = first.shuffle is second.shuffle and not (first.shuffle is Shuffle.WEAK and _reach_differs(first, second))
    same = "the same" if first.digest == second.digest else "another"
    if alike:
        findings.control(
            "batch_order",
            f"Both sides are {first.shuffle}; the second's order is {same}: digests {_digests(first, second)}.",
        )
        return
    kinds = list(Shuffle)
    weaker = 0 if (kinds.index(first.shuffle), first.reach) < (kinds.index(second.shuffle), second.reach) else 1
    findings.cause(
        Cause(
            reason="SHUFFLE",
            title=f"The first side is {first.shuffle}, the second {second.shuffle}",
            evidence=(
                evidence(
                    "reach",
                    f"Places that the farthest of {len(case.data)} samples was moved to the front, first and second.",
                    float(first.reach),
                    float(second.reach),
                ),
                evidence("batch_order", f"Digests of the orders: {_digests(first, second)}."),
            ),
            effect="Batches that hold neighbours, or the same samples every epoch, give other gradients: more so the more "
            "the data are sorted.",
            fix="Shuffle over the whole set and anew every epoch: shuffle(buffer_size=len(data), "
            "reshuffle_each_iteration=True) before batch(); fit's shuffle= does nothing for a tf.data.Dataset.",
            side=SIDES[weaker],
        ),
        Severity.TRAINING,
        abs(first.reach - second.reach) / len(case.data),
    )


def _digests(first: Order, second: Order) -> str:
    return f"{first.digest[:12]}… and {second.digest[:12]}…"


def _reach_differs(first: Order, second: Order) -> bool:
    return min(first.reach, second.reach) < SAME_REACH * max(first.reach, second.reach)


def _order(case: Case, trace: Trace) -> Order | None:
    """None where the samples of an epoch cannot be told, or there are too few to shuffle."""
    count = len(trace.steps) // EPOCHS
    known = case.rows(case.data)
    epochs = [
        indices([key for step in trace.steps[start : start + count] for key in step.call.rows], known)
        for start in range(0, count * EPOCHS, count or 1)
    ]
    told = [epoch for epoch in epochs if epoch is not None]
    return describe(told) if len(told) == EPOCHS and len(known) > 1 else None
