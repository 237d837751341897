"""Which specifications are alike."""

from loopbench.spec import OPTIMIZERS, Execution, Method, RunSpec

# What leaves the final weights alone: how a run reports of itself, and where it was asked to be trained, as its
# environment says where it was.
NEUTRAL = {
    name: RunSpec.model_fields[name].get_default()
    for name in ("device", "accuracy_metric", "loss_aggregation", "tensorboard")
}


def without_method(spec: RunSpec) -> RunSpec:
    """What two specifications have in common that differ in their method, and in what leaves the weights alone."""
    return _neutral(spec) if _has_bits_of_its_own(spec) else _neutral(spec).model_copy(update={"method": Method.FIT})


def is_usual(spec: RunSpec) -> bool:
    """Whether ``spec`` chooses method, loss, optimizer and dataset, and leaves what else counts as it comes."""
    chosen = {
        "method": spec.method,
        "loss": spec.loss,
        "dataset": spec.dataset,
        "optimizer": OPTIMIZERS[spec.optimizer.kind](),
        "seed": spec.seed,
    }
    return _neutral(spec) == _neutral(RunSpec.model_validate(chosen))


def _has_bits_of_its_own(spec: RunSpec) -> bool:
    """The tape alone can compile its loop with several steps; under the other methods they are no unit."""
    return spec.execution is Execution.XLA and spec.steps_per_execution > 1 and spec.method is Method.GRADIENT_TAPE


def _neutral(spec: RunSpec) -> RunSpec:
    fused = {} if _has_bits_of_its_own(spec) else {"steps_per_execution": 0}
    execution = Execution.XLA if spec.execution is Execution.XLA else Execution.GRAPH
    return spec.model_copy(update={**NEUTRAL, "execution": execution, **fused})
