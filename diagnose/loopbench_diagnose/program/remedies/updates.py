"""More updates."""

from collections.abc import Iterator

from loopbench.spec import Reason
from loopbench.text import counted
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy

FACTOR = 5


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Several times as many epochs, where the program says how many there are."""
    if not bench.program.states_epochs:
        return
    updates = bench.program.updates()
    yield Remedy(
        Reason.TOO_FEW_UPDATES,
        f"The training ends after {counted(updates, 'update')}, while the loss still falls",
        f"Train {FACTOR} times as long",
        {"epochs": FACTOR},
    )
