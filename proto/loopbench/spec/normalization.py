"""Specifications reduced to what decides the final weights."""

import hashlib

from loopbench.spec import OPTIMIZERS, Execution, Method, RunSpec

# Hexadecimal digits of a digest of a specification. Two of some hundred specifications differ almost certainly.
DIGITS = 8

# Fields that leave the final weights alone: those about reports, and the device, which a result's environment names.
NEUTRAL_FIELDS = ("device", "accuracy_metric", "loss_aggregation", "tensorboard")
DEFAULTS = {name: RunSpec.model_fields[name].get_default() for name in NEUTRAL_FIELDS}


def normalize_method(spec: RunSpec) -> RunSpec:
    """Return ``spec`` with the same method for all specifications that differ in nothing but the method."""
    normalized = _normalize(spec)
    return normalized if _compiles_several_steps(spec) else normalized.model_copy(update={"method": Method.FIT})


def uses_defaults(spec: RunSpec) -> bool:
    """Return whether ``spec`` sets method, loss, optimizer, dataset and seed only, apart from neutral fields."""
    chosen = {
        "method": spec.method,
        "loss": spec.loss,
        "dataset": spec.dataset,
        "optimizer": OPTIMIZERS[spec.optimizer.kind](),
        "seed": spec.seed,
    }
    return _normalize(spec) == _normalize(RunSpec.model_validate(chosen))


def spec_digest(spec: RunSpec) -> str:
    """Return hexadecimal digits that are the same for all methods and seeds of a specification.

    Settings that do not affect the final weights have no effect on them.
    """
    same = normalize_method(spec).model_copy(update={"seed": 0})
    return hashlib.sha256(same.model_dump_json(exclude=set(same.unset_later)).encode()).hexdigest()[:DIGITS]


def _compiles_several_steps(spec: RunSpec) -> bool:
    """Return whether XLA compiles a loop of several steps, which may change the bits. Only the tape's loop can."""
    return spec.execution is Execution.XLA and spec.steps_per_execution > 1 and spec.method is Method.GRADIENT_TAPE


def _normalize(spec: RunSpec) -> RunSpec:
    steps = {} if _compiles_several_steps(spec) else {"steps_per_execution": 0}
    execution = Execution.XLA if spec.execution is Execution.XLA else Execution.GRAPH
    return spec.model_copy(update={**DEFAULTS, "execution": execution, **steps})
