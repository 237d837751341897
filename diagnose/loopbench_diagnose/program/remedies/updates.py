"""More updates."""

from collections.abc import Iterator

from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.reasons import Reason

FACTOR = 5


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Several times as many epochs."""
    updates = bench.program.updates()
    yield Remedy(
        Reason.TOO_FEW_UPDATES,
        f"The training ends after {updates} updates, while the loss still falls",
        f"Train {FACTOR} times as long",
        {"epochs": FACTOR},
    )
