"""The probes, one a module, and the table of them in the order in which they ask."""

from collections.abc import Callable

from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings
from loopbench_diagnose.probes import (
    accumulation,
    accuracy,
    closure,
    execution,
    explained,
    figures,
    initial_weights,
    inputs,
    layer_state,
    left_out,
    loss,
    loss_reduction,
    loss_scaling,
    metrics,
    model,
    non_finite,
    optimizer,
    optimizer_state,
    order,
    outside,
    partial_batch,
    randomness,
    regularization,
    repeat,
    replica_scaling,
    samples,
    schedule,
    unexplained,
    updates,
    validation,
    validation_data,
)

Probe = Callable[[Experiment, Findings], None]

PROBES: tuple[Probe, ...] = (
    non_finite.probe,
    randomness.probe,
    inputs.probe,
    repeat.probe,
    model.probe,
    initial_weights.probe,
    left_out.probe,
    samples.probe,
    replica_scaling.probe,
    accumulation.probe,
    loss_reduction.probe,
    explained.probe,
    loss.probe,
    regularization.probe,
    partial_batch.probe,
    loss_scaling.probe,
    schedule.probe,
    optimizer_state.probe,
    outside.probe,
    validation.probe,
    layer_state.probe,
    optimizer.probe,
    updates.probe,
    order.probe,
    execution.probe,
    unexplained.probe,
    figures.probe,
    accuracy.probe,
    validation_data.probe,
    metrics.probe,
    closure.probe,
)

# Probes of what an update is made of: they have nothing to explain where all updates agree.
OF_UPDATES: frozenset[Probe] = frozenset(
    {
        model.probe,
        replica_scaling.probe,
        loss_reduction.probe,
        explained.probe,
        loss.probe,
        regularization.probe,
        partial_batch.probe,
        optimizer.probe,
        unexplained.probe,
    }
)
