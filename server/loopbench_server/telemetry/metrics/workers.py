"""Resource usage of worker processes, read at each scrape."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from loopbench_server.workers.limits import get_private_memory
from loopbench_server.workers.process_name import is_standby


class WorkerCollector(Collector):
    """Reads the processes below the forkserver, which is a child of ``server``."""

    def __init__(self, registry: CollectorRegistry, server: psutil.Process) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._parents: set[int] = set()
        self._used = 0.0
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield number, memory and processor time."""
        parents = self._server.children()
        # Ended processes first: a process that ends between the two reads is in neither sum, and in none twice.
        used = sum(_seconds(parent, "children_user", "children_system") for parent in parents)
        children = [child for parent in parents for child in _children(parent)]
        used += sum(_seconds(child, "user", "system") for child in children)
        standby = sum(is_standby(child) for child in children)
        yield GaugeMetricFamily(
            "loopbench_worker_processes",
            "Worker processes, which train, evaluate or diagnose.",
            value=len(children) - standby,
        )
        yield GaugeMetricFamily(
            "loopbench_standby_processes",
            "Worker processes that wait for a run, or prepare for it.",
            value=standby,
        )
        yield GaugeMetricFamily(
            "loopbench_worker_memory_bytes",
            "Private memory of worker processes, including those that wait for a run.",
            value=sum(get_private_memory(child.pid) for child in children),
        )
        yield CounterMetricFamily(
            "loopbench_worker_cpu_seconds",
            "Processor time of worker processes, including ended ones and those that wait for a run.",
            value=self._without_decrease({parent.pid for parent in parents}, used),
        )

    def _without_decrease(self, parents: set[int], used: float) -> float:
        """Return ``used``, but never less than before, except for another forkserver."""
        with self._lock:
            self._used = max(used, self._used) if parents == self._parents else used
            self._parents = parents
            return self._used


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.children())
    return []


def _seconds(process: psutil.Process, *kinds: str) -> float:
    """Return the processor time, or 0 if the process has ended."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(sum(getattr(times, kind) for kind in kinds))
    return 0.0
