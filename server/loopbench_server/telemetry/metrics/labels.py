"""The labels, and all values that each may have: nothing that a caller makes up becomes one."""

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
# Of a run that is under way or over, AUTO has become one of them.
DEVICES = tuple(device for device in Device if device is not Device.AUTO)
SPECS: tuple[Spec, ...] = tuple(
    (method, loss, optimizer, dataset)
    for method in Method
    for loss in Loss
    for optimizer in OPTIMIZERS
    for dataset in Dataset
)


def spec_labels(spec: RunSpec) -> Spec:
    """What ``spec`` is counted by."""
    return (spec.method, spec.loss, spec.optimizer.kind, spec.dataset)


def get_reason(run: Run) -> str:
    """Why a run has no result; what another version called something else is a failed run."""
    assert run.error is not None
    return from_reason(run.error.reason).reason
