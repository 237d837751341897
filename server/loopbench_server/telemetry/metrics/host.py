"""Metrics of the build, the store and the service."""

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
    """Return a registry with the metrics of this process and its workers."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the series without use
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector):
        collector(registry=registry)
    WorkerCollector(registry, psutil.Process())
    return registry


class BuildMetrics:
    """Versions of the server and of the packages that decide results."""

    def __init__(self, registry: CollectorRegistry, version: str, revision: str) -> None:
        build = {"version": version, "revision": revision, "python": platform.python_version()}
        Gauge(
            "loopbench_build_info", "Always 1; version and revision of the server.", [*build], registry=registry
        ).labels(**build).set(1)
        self._packages = Gauge(
            "loopbench_package_info",
            "Always 1; version of a package that decides results. Appears after the first worker has started.",
            ("package", "version"),
            registry=registry,
        )

    def set_package_versions(self, versions: Mapping[str, str]) -> None:
        """Set the versions of the packages that decide results, and of Python."""
        for package, version in versions.items():
            self._packages.labels(package, version).set(1)


class StoreMetrics(TransactionObserver):
    """Transactions of the database."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "loopbench_store_transaction_seconds",
            "Duration of a transaction, including the wait for a connection.",
            buckets=STORE_BUCKETS,
            registry=registry,
        )
        self._errors = Counter("loopbench_store_errors", "Transactions that failed.", registry=registry)

    def transaction_ended(self, seconds: float, *, refused: bool) -> None:
        """See :class:`TransactionObserver`."""
        self._seconds.observe(seconds)
        self._errors.inc(refused)


class ServiceMetrics:
    """Metrics of the service apart from calls and runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.ready = Gauge(
            "loopbench_ready",
            "1 while the server accepts runs: worker processes start, the database works, and it does not drain.",
            registry=registry,
        )
        self._pairs = Counter(
            "loopbench_comparison_pairs", "Pairs of groups that calls compared.", ("verdict",), registry=registry
        )
        self._running = Gauge(
            "loopbench_tasks_running",
            "Evaluations and diagnoses that run, beside the training runs.",
            registry=registry,
        )
        self._waiting = Gauge(
            "loopbench_tasks_waiting", "Evaluations and diagnoses that wait for others to end.", registry=registry
        )
        for verdict in Verdict:
            self._pairs.labels(verdict)

    def count_verdicts(self, comparison: Comparison) -> None:
        """Count the verdicts of a comparison."""
        for pair in comparison.pairs:
            self._pairs.labels(pair.verdict).inc()

    def watch_tasks(self, tasks: ConcurrencyLimiter) -> None:
        """Export the counts of running and waiting tasks."""
        self._running.set_function(lambda: tasks.running)
        self._waiting.set_function(lambda: tasks.waiting)

    def watch_certificate(self, expiry: Callable[[], float]) -> None:
        """Export the expiry of the server's certificate, in seconds since 1970."""
        Gauge(
            "loopbench_tls_certificate_expiry_timestamp_seconds",
            "When the server's certificate expires. Present only with TLS.",
            registry=self._registry,
        ).set_function(expiry)
