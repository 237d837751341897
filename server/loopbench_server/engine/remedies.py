"""What to change in two specifications so that the causes that were found are gone."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from loopbench.spec import AccuracyMetric, Cause, Loss, LossAggregation, Reason, RunSpec, Side

# The sound value for a side that is at fault by itself.
SOUND: dict[str, Mapping[str, Any]] = {
    Reason.ACCURACY_METRIC: {"accuracy_metric": AccuracyMetric.SPARSE_CATEGORICAL},
    Reason.LAST_BATCH: {"loss_aggregation": LossAggregation.MEAN},
    Reason.FIXED_DIVISOR: {"loss": Loss.SUM_OF_SQUARES},
    Reason.REPLICA_SCALING: {"loss": Loss.SUM_OF_SQUARES},
}

# What both sides take where they differ in it.
COMMON: dict[str, Mapping[str, Any]] = {Reason.REPLICAS: {"replicas": 1}}

# Fields that the second takes over from the first where the two only differ.
ALIGNED: dict[str, tuple[str, ...]] = {
    Reason.LOSS_REDUCTION: ("loss",),
    Reason.LOSS_FUNCTION: ("loss",),
    Reason.LABELS: ("loss",),
    Reason.UNEXPLAINED_GRADIENT: ("loss",),
    Reason.UNEXPLAINED_UPDATE: ("optimizer",),
    Reason.LEARNING_RATE: ("optimizer",),
    Reason.LEARNING_RATE_SCHEDULE: ("optimizer",),
    Reason.EPSILON: ("optimizer",),
    Reason.CLIPPING: ("optimizer",),
    Reason.OPTIMIZER: ("optimizer",),
    Reason.UPDATE_RULE: ("optimizer",),
    Reason.UPDATES: ("batch_size", "epochs"),
    Reason.SHUFFLE: ("shuffle_buffer",),
    Reason.SEED: ("seed",),
    Reason.DATASET: ("dataset",),
    Reason.NETWORK: ("network",),
    Reason.XLA: ("execution", "steps_per_execution"),
}


def remedied(first: RunSpec, second: RunSpec, causes: Iterable[Cause]) -> dict[str, RunSpec]:
    """``fixed_first`` and ``fixed_second``, each only where something changes."""
    found = tuple(causes)
    fixed = {Side.FIRST: _sound(first, found, Side.FIRST), Side.SECOND: _sound(second, found, Side.SECOND)}
    taken = [name for cause in found for name in ALIGNED.get(cause.reason, ())]
    from_first = {name: getattr(fixed[Side.FIRST], name) for name in taken}
    fixed[Side.SECOND] = _shared_if_it_can_be({**_fields(fixed[Side.SECOND]), **from_first})
    given = {Side.FIRST: first, Side.SECOND: second}
    return {f"fixed_{side.lower()}": spec for side, spec in fixed.items() if spec != given[side]}


def _sound(spec: RunSpec, causes: Iterable[Cause], side: Side) -> RunSpec:
    changes = [SOUND[cause.reason] for cause in causes if cause.side is side and cause.reason in SOUND]
    changes += [COMMON[cause.reason] for cause in causes if cause.reason in COMMON]
    return spec.model_copy(update={name: value for change in changes for name, value in change.items()})


def _shared_if_it_can_be(fields: dict[str, Any]) -> RunSpec:
    """What the first has may be nothing that the second's replicas can share; then one device trains it."""
    try:
        return RunSpec.model_validate(fields)
    except ValidationError:
        return RunSpec.model_validate({**fields, "replicas": 1})


def _fields(spec: RunSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in RunSpec.model_fields}
