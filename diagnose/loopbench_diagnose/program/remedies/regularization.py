"""Dropout and penalties that keep a model from learning."""

from collections.abc import Iterator

from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.reasons import Reason

# A rate from which on dropout is tried without.
HIGH = 0.5


def remedies(bench: Bench) -> Iterator[Remedy]:
    """No dropout where its rate is high, and no penalties."""
    rates = [float(getattr(layer, "rate", 0) or 0) for layer in bench.anatomy.order]
    if rates and max(rates) >= HIGH:
        yield Remedy(
            Reason.MODEL,
            f"A dropout rate of {max(rates):.3g} leaves too little to learn from",
            "Lower the dropout rate",
            {"dropout": True},
        )
    if any(variable.regularizer is not None for variable in bench.program.harness.prototype.trainable_variables):
        yield Remedy(
            Reason.REGULARIZATION,
            "The penalty on the weights outweighs the loss",
            "Lower the factor of the regularizer",
            {"penalty": True},
        )
