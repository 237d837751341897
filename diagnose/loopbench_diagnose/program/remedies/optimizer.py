"""The optimizer, where no rate of the present one helps as much."""

from collections.abc import Iterator

import keras

from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.reasons import Reason


def remedies(bench: Bench) -> Iterator[Remedy]:
    """Adam with its default rate."""
    own = type(bench.program.configuration.optimizer)
    if own is not keras.optimizers.Adam:
        yield Remedy(
            Reason.OPTIMIZER,
            f"{own.__name__} makes little of its updates",
            "Use Adam",
            {"optimizer": "adam"},
        )
