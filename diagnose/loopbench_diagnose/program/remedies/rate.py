"""The learning rate: trials over a geometric range around it."""

from collections.abc import Iterator

from loopbench.spec import Reason
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy

LOWER = (0.1, 0.01, 0.001)
HIGHER = (10.0, 100.0, 1_000.0)


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Lower rates and higher ones; none where the rate follows a schedule, or the program changes it.

    Trial trainings keep the rate of the start, so their scores say nothing of a rate that changes.
    """
    configuration = bench.program.configuration
    rate = configuration.learning_rate
    if rate is None or configuration.changes_rate:
        return
    for factor in (*LOWER, *HIGHER):
        high = factor < 1
        yield Remedy(
            Reason.LEARNING_RATE_TOO_HIGH if high else Reason.LEARNING_RATE_TOO_LOW,
            f"The learning rate of {rate:.3g} is too {'high' if high else 'low'}",
            f"Use a learning rate of about {rate * factor:.1g}",
            {"rate": factor},
        )
