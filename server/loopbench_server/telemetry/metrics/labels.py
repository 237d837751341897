"""Labels, and all values of each: no label takes a value that a caller chooses."""

from loopbench.spec import OPTIMIZERS, Dataset, Device, Loss, Method, Phases, Run, RunSpec, RunState
from loopbench_server.errors import from_reason, subclasses

RPC = ("grpc_type", "grpc_service", "grpc_method")
SPEC = ("method", "loss", "optimizer", "dataset")

# Values of SPEC.
Spec = tuple[str, ...]

# Names of status codes in gRPC → names in Go, which dashboards made for go-grpc-prometheus query.
GO_CODES = {
    "OK": "OK",
    "CANCELLED": "Canceled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "UNAVAILABLE": "Unavailable",
    "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated",
}
REASONS = tuple(sorted(error.reason for error in subclasses()))
OUTCOMES = tuple(state for state in RunState if state.ended)
PHASES = tuple(phase.removesuffix("_seconds") for phase in Phases.model_fields)
# Devices of runs: AUTO has been resolved by then.
DEVICES = tuple(device for device in Device if device is not Device.AUTO)
SPECS: tuple[Spec, ...] = tuple(
    (method, loss, optimizer, dataset)
    for method in Method
    for loss in Loss
    for optimizer in OPTIMIZERS
    for dataset in Dataset
)


def spec_labels(spec: RunSpec) -> Spec:
    """Return the label values of ``spec``."""
    return (spec.method, spec.loss, spec.optimizer.kind, spec.dataset)


def get_reason(run: Run) -> str:
    """Return why a run has no result; a reason of another version counts as a failed run."""
    assert run.error is not None
    return from_reason(run.error.reason).reason
