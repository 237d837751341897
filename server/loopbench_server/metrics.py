"""Every Prometheus name that the server exports."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from loopbench.spec import OPTIMIZERS, Dataset, EpochRecord, Loss, Method, Run, RunState
from loopbench_server.runs.observers import Observer

SECONDS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600)
RPC_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600)
RPC_LABELS = ("grpc_type", "grpc_service", "grpc_method")
SPEC_LABELS = ("method", "loss", "optimizer", "dataset")
ENDED = tuple(state for state in RunState if state.ended)


def _spec_labels(run: Run) -> tuple[str, ...]:
    return (run.spec.method, run.spec.loss, run.spec.optimizer.kind, run.spec.dataset)


class Metrics(Observer):
    """The server's metrics in ``registry``. Labels are enums of the contract; run ids and seeds are in the store."""

    def __init__(self, registry: CollectorRegistry, version: str, slots: int) -> None:
        self.rpc_started = Counter("grpc_server_started", "RPCs started on the server.", RPC_LABELS, registry=registry)
        self.rpc_handled = Counter(
            "grpc_server_handled", "RPCs completed on the server.", (*RPC_LABELS, "grpc_code"), registry=registry
        )
        self.rpc_seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time until an RPC was completed on the server.",
            RPC_LABELS,
            buckets=RPC_BUCKETS,
            registry=registry,
        )
        self._runs = Counter(
            "loopbench_runs", "Runs that ended, by outcome.", (*SPEC_LABELS, "state"), registry=registry
        )
        self._phases = Histogram(
            "loopbench_run_phase_seconds",
            "Wall time of a phase of a run that succeeded.",
            ("method", "phase"),
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self._examples = Counter("loopbench_examples", "Training examples processed.", SPEC_LABELS, registry=registry)
        self._queued = Gauge("loopbench_queue_depth", "Runs that wait for a slot.", registry=registry)
        self._running = Gauge("loopbench_runs_running", "Runs that have a slot.", registry=registry)
        self._accuracy = Gauge(
            "loopbench_accuracy_ratio",
            "Audited accuracy of the last run that succeeded.",
            (*SPEC_LABELS, "split"),
            registry=registry,
        )
        Gauge("loopbench_slots", "Runs that may go on at once.", registry=registry).set(slots)
        Gauge("loopbench_build_info", "Always 1; the version is a label.", ("version",), registry=registry).labels(
            version
        ).set(1)
        self._show_series_from_zero()

    def _show_series_from_zero(self) -> None:
        for method in Method:
            for loss in Loss:
                for optimizer in OPTIMIZERS:
                    for dataset in Dataset:
                        for state in ENDED:
                            self._runs.labels(method, loss, optimizer, dataset, state)

    def run_queued(self, run: Run) -> None:  # noqa: ARG002  all runs count alike
        """A run waits for a slot."""
        self._queued.inc()

    def run_started(self, run: Run) -> None:  # noqa: ARG002  all runs count alike
        """A run that waited has its slot."""
        self._queued.dec()
        self._running.inc()

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """An epoch of ``run`` is complete."""
        self._examples.labels(*_spec_labels(run)).inc(record.samples)

    def run_ended(self, run: Run, *, had_slot: bool) -> None:
        """A run has a result or an error."""
        (self._running if had_slot else self._queued).dec()
        self._runs.labels(*_spec_labels(run), run.state).inc()
        if run.result:
            for phase, seconds in run.result.phases.model_dump().items():
                self._phases.labels(run.spec.method, phase.removesuffix("_seconds")).observe(seconds)
            self._accuracy.labels(*_spec_labels(run), "train").set(run.result.train.accuracy)
            self._accuracy.labels(*_spec_labels(run), "validation").set(run.result.validation.accuracy)
