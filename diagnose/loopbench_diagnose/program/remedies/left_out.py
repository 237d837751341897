"""Layers that the loop leaves at their random initial weights."""

from collections.abc import Iterator

from loopbench.spec import Reason
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy


def remedies(bench: Bench) -> Iterator[Remedy]:
    """All layers trained, where those that are left out hold nothing that was learnt."""
    if names := bench.program.left_at_random:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield Remedy(
            Reason.VARIABLES_LEFT_OUT,
            f"The loop leaves {names[0]}{more} at random initial weights",
            "Train all layers: trainable = True before compile, and all of model.trainable_variables for the optimizer",
            {"trainable": True},
        )
