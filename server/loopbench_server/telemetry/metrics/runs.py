"""Metrics of the runs of this process."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from loopbench.spec import Device, EpochRecord, Run
from loopbench_server.runs.maintenance.polling import WORKS
from loopbench_server.runs.observers import Observer
from loopbench_server.telemetry.metrics import labels

SECONDS_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 21600)
SPEED_BUCKETS = (1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6)


class RunMetrics(Observer):
    """Metrics for ``slots`` slots and a queue of ``queue_size``. :mod:`.results` has metrics of all runs in the store.

    The series of ``specs`` start at zero. A process that trains one specification passes only that one.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        slots: int,
        queue_size: int,
        specs: Iterable[labels.Spec] = labels.SPECS,
    ) -> None:
        def counter(name: str, text: str, *names: str) -> Counter:
            return Counter(name, text, names, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *names: str) -> Histogram:
            return Histogram(name, text, names, buckets=buckets, registry=registry)

        self._ended = counter("loopbench_runs", "Runs of this process that ended.", *labels.SPEC, "device", "outcome")
        self._errors = counter(
            "loopbench_run_errors", "Runs of this process that ended without a result, by the reason.", "reason"
        )
        self._abandoned = counter("loopbench_runs_abandoned", "Runs of vanished servers that this server ended.")
        self._failures = counter(
            "loopbench_background_errors",
            "Unexpected errors of background work, which continues at its next interval.",
            "work",
        )
        self._examples = counter("loopbench_examples", "Training examples that runs processed.", *labels.SPEC)
        self._phases = histogram(
            "loopbench_run_phase_seconds",
            "Duration of a phase of a run that succeeded.",
            SECONDS_BUCKETS,
            *("method", "phase"),
        )
        self._waited = histogram("loopbench_run_queue_seconds", "Time that a run waited for a slot.", SECONDS_BUCKETS)
        self._speed = histogram(
            "loopbench_run_examples_per_second", "Training examples per second in an epoch.", SPEED_BUCKETS, "method"
        )
        self._queued = gauge("loopbench_queue_depth", "Runs that wait for a slot.")
        self._running = gauge("loopbench_runs_running", "Runs that have a slot.")
        gauge("loopbench_queue_limit", "Runs that may wait for a slot.").set(queue_size)
        gauge("loopbench_slots", "Runs that may train at the same time.").set(slots)
        self._auto = Device.CPU
        self._show_series_from_zero(tuple(specs))

    def _show_series_from_zero(self, specs: tuple[labels.Spec, ...]) -> None:
        for spec in specs:
            self._examples.labels(*spec)
            for device in labels.DEVICES:
                for outcome in labels.OUTCOMES:
                    self._ended.labels(*spec, device, outcome)
        for reason in labels.REASONS:
            self._errors.labels(reason)
        for work in WORKS:
            self._failures.labels(work)
        for method in {spec[0] for spec in specs}:
            self._speed.labels(method)
            for phase in labels.PHASES:
                self._phases.labels(method, phase)

    def set_devices(self, devices: Iterable[Device]) -> None:
        """Set the devices of this machine, which decide what AUTO becomes."""
        self._auto = Device.GPU if Device.GPU in devices else Device.CPU

    def _device(self, run: Run) -> Device:
        if run.result:
            return run.result.environment.device
        return self._auto if run.spec.device is Device.AUTO else run.spec.device

    def run_queued(self, run: Run) -> None:  # noqa: ARG002  all runs count the same
        """See :class:`Observer`."""
        self._queued.inc()

    def run_started(self, run: Run) -> None:
        """See :class:`Observer`."""
        self._queued.dec()
        self._running.inc()
        if run.start_time:
            # The clock may have been set back.
            self._waited.observe(max(0.0, (run.start_time - run.create_time).total_seconds()))

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """See :class:`Observer`."""
        self._examples.labels(*labels.spec_labels(run.spec)).inc(record.samples)
        self._speed.labels(run.spec.method).observe(record.examples_per_second)

    def run_ended(self, run: Run, *, had_slot: bool) -> None:
        """See :class:`Observer`."""
        (self._running if had_slot else self._queued).dec()
        self._ended.labels(*labels.spec_labels(run.spec), self._device(run), run.state).inc()
        if run.error:
            self._errors.labels(labels.get_reason(run)).inc()
        if run.result:
            for phase, seconds in run.result.phases.model_dump().items():
                self._phases.labels(run.spec.method, phase.removesuffix("_seconds")).observe(seconds)

    def runs_abandoned(self, count: int) -> None:
        """See :class:`Observer`."""
        self._abandoned.inc(count)

    def work_failed(self, work: str) -> None:
        """See :class:`Observer`."""
        self._failures.labels(work).inc()
