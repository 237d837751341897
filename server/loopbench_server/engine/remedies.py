"""What to change in two specifications so that the causes that were found are gone."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from loopbench.spec import AccuracyMetric, Cause, Loss, LossAggregation, RunSpec, Side

# The sound value for a side that is at fault by itself.
SOUND: dict[str, Mapping[str, Any]] = {
    "ACCURACY_METRIC": {"accuracy_metric": AccuracyMetric.SPARSE_CATEGORICAL},
    "LAST_BATCH": {"loss_aggregation": LossAggregation.MEAN},
    "FIXED_DIVISOR": {"loss": Loss.SUM_OF_SQUARES},
    "REPLICA_SCALING": {"loss": Loss.SUM_OF_SQUARES},
}

# What both sides take where they differ in it.
COMMON: dict[str, Mapping[str, Any]] = {"REPLICAS": {"replicas": 1}}

# Fields that the second takes over from the first where the two only differ.
ALIGNED: dict[str, tuple[str, ...]] = {
    "LOSS_REDUCTION": ("loss",),
    "LOSS_FUNCTION": ("loss",),
    "LABELS": ("loss",),
    "UNEXPLAINED_GRADIENT": ("loss",),
    "UNEXPLAINED_UPDATE": ("optimizer",),
    "LEARNING_RATE": ("optimizer",),
    "LEARNING_RATE_SCHEDULE": ("optimizer",),
    "EPSILON": ("optimizer",),
    "CLIPPING": ("optimizer",),
    "OPTIMIZER": ("optimizer",),
    "UPDATE_RULE": ("optimizer",),
    "UPDATES": ("batch_size", "epochs"),
    "SHUFFLE": ("shuffle_buffer",),
    "SEED": ("seed",),
    "DATASET": ("dataset",),
    "NETWORK": ("network",),
    "XLA": ("execution", "steps_per_execution"),
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
