"""Layers that are frozen at their random initial weights."""

from collections.abc import Iterator

from loopbench.spec import Reason
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy


def remedies(bench: Bench) -> Iterator[Remedy]:
    """All layers trainable, where the frozen ones hold nothing that was learnt."""
    if names := bench.program.frozen_at_random:
        yield Remedy(
            Reason.VARIABLES_LEFT_OUT,
            f"{names[0]} is frozen at its random initial weights"
            if len(names) == 1
            else f"{names[0]} and {len(names) - 1} more variables are frozen at their random initial weights",
            "Set trainable = True for these layers before compile",
            {"trainable": True},
        )
