"""What the server itself is, and how it is."""

import platform
from collections.abc import Callable, Mapping

import psutil
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from loopbench.spec import Comparison, Verdict
from loopbench_server.runs.limiter import ConcurrencyLimiter
from loopbench_server.store.transactions import TransactionObserver
from loopbench_server.telemetry.metrics.workers import WorkerCollector

STORE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def new_registry() -> CollectorRegistry:
    """One that shows this process and its workers."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the series, and nobody asks for them
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector):
        collector(registry=registry)
    WorkerCollector(registry, psutil.Process())
    return registry


class BuildMetrics:
    """What runs here."""

    def __init__(self, registry: CollectorRegistry, version: str, revision: str) -> None:
        build = {"version": version, "revision": revision, "python": platform.python_version()}
        Gauge("loopbench_build_info", "Always 1; what the server was made of.", [*build], registry=registry).labels(
            **build
        ).set(1)
        self._packages = Gauge(
            "loopbench_package_info",
            "Always 1; a package that decides results. There once a worker has told.",
            ("package", "version"),
            registry=registry,
        )

    def set_package_versions(self, versions: Mapping[str, str]) -> None:
        """The packages that decide results, and Python."""
        for package, version in versions.items():
            self._packages.labels(package, version).set(1)


class StoreMetrics(TransactionObserver):
    """How the database does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "loopbench_store_transaction_seconds",
            "Time that a transaction took, with waiting for a connection.",
            buckets=STORE_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "loopbench_store_errors", "Transactions that the database refused or did not answer.", registry=registry
        )

    def transaction_ended(self, seconds: float, *, refused: bool) -> None:
        """As :class:`TransactionObserver`."""
        self._seconds.observe(seconds)
        self._errors.inc(refused)


class ServiceMetrics:
    """The service beside its calls and runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.ready = Gauge(
            "loopbench_ready",
            "1 as long as the server takes runs: from the first worker's answer until it drains.",
            registry=registry,
        )
        self._pairs = Counter(
            "loopbench_comparison_pairs", "Pairs of groups that calls had compared.", ("verdict",), registry=registry
        )
        self._running = Gauge(
            "loopbench_tasks_running", "Evaluations and diagnoses that go on, beside the runs.", registry=registry
        )
        self._waiting = Gauge(
            "loopbench_tasks_waiting", "Evaluations and diagnoses that wait for others to end.", registry=registry
        )
        for verdict in Verdict:
            self._pairs.labels(verdict)

    def count_verdicts(self, comparison: Comparison) -> None:
        """A caller was told this."""
        for pair in comparison.pairs:
            self._pairs.labels(pair.verdict).inc()

    def watch_tasks(self, tasks: ConcurrencyLimiter) -> None:
        """Where to look for how many evaluations and diagnoses there are."""
        self._running.set_function(lambda: tasks.running)
        self._waiting.set_function(lambda: tasks.waiting)

    def watch_certificate(self, expiry: Callable[[], float]) -> None:
        """Where to look for when the certificate that is served does, in seconds since 1970."""
        Gauge(
            "loopbench_tls_certificate_expiry_timestamp_seconds",
            "When the server's certificate expires; there where it has one.",
            registry=self._registry,
        ).set_function(expiry)
