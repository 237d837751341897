"""The probes, one a module, and the table of them in the order in which they ask."""

from collections.abc import Callable

from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings
from loopbench_diagnose.probes import (
    accuracy,
    execution,
    explained,
    figures,
    inputs,
    loss_reduction,
    loss_scaling,
    non_finite,
    optimizer,
    order,
    partial_batch,
    regularization,
    repeat,
    replica_scaling,
    unexplained,
    updates,
    validation,
)

Probe = Callable[[Experiment, Findings], None]

PROBES: tuple[Probe, ...] = (
    non_finite.probe,
    inputs.probe,
    repeat.probe,
    replica_scaling.probe,
    loss_reduction.probe,
    explained.probe,
    regularization.probe,
    unexplained.probe,
    partial_batch.probe,
    loss_scaling.probe,
    optimizer.probe,
    updates.probe,
    order.probe,
    execution.probe,
    figures.probe,
    accuracy.probe,
    validation.probe,
)
