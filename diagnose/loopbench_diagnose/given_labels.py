"""Labels as a side's loss was given them, where Keras computes it: a loop may prepare those of the data."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from loopbench_diagnose.trace import Array, Call, LossCall, Trace


class GivenLabels:
    """The labels of every sample of a training with one loss."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def of(self, rows: Sequence[bytes]) -> Array | None:
        """Those of the samples with these keys; None where one is not known, or has several."""
        found = [self._by_sample.get(key) for key in rows]
        known = [label for label in found if label is not None]
        return np.stack(known) if known and len(known) == len(found) else None

    @cached_property
    def _by_sample(self) -> dict[bytes, Array | None]:
        labels: dict[bytes, Array | None] = {}
        for key, label in self._pairs():
            former = labels.setdefault(key, label)
            if former is not None and not np.array_equal(former, label):
                labels[key] = None
        return labels

    def _pairs(self) -> Iterator[tuple[bytes, Array]]:
        for step in self._trace.steps:
            yield from _pairs_of(step.call, step.losses)
        for call in self._trace.evaluations:
            yield from _pairs_of(call, call.losses)


def _pairs_of(call: Call, losses: Sequence[LossCall]) -> Iterator[tuple[bytes, Array]]:
    labels = losses[0].labels if len(losses) == 1 else None
    if labels is not None and labels.ndim and len(labels) == len(call.rows):
        yield from zip(call.rows, labels, strict=True)
