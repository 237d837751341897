"""Samples that come in the order of their labels."""

from collections.abc import Iterator

import numpy as np

from loopbench_diagnose.data import leaves
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.reasons import Reason


def remedies(bench: Bench) -> Iterator[Remedy]:
    """A new order for every epoch."""
    if bench.program.configuration.shuffle or not leaves(bench.program.training.y):
        return
    y = np.asarray(leaves(bench.program.training.y)[0])
    yield Remedy(
        Reason.SHUFFLE,
        f"The {len(y)} samples come in the same order in every epoch, and are not mixed",
        "Shuffle the samples: shuffle=True for fit, or dataset.shuffle(number of samples)",
        {"shuffle": True},
    )
