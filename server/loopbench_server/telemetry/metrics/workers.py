"""What worker processes take, looked at when it is asked for."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from loopbench_server.workers.limits import get_private_memory


class WorkerCollector(Collector):
    """The processes below the forkserver, which is the child of ``server``."""

    def __init__(self, registry: CollectorRegistry, server: psutil.Process) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._parents: set[int] = set()
        self._used = 0.0
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Number, memory and processor time."""
        parents = self._server.children()
        # First those that have ended: what ends between the two looks is in neither sum then, and in none twice.
        used = sum(_seconds(parent, "children_user", "children_system") for parent in parents)
        workers = [child for parent in parents for child in _children(parent)]
        used += sum(_seconds(child, "user", "system") for child in workers)
        yield GaugeMetricFamily(
            "loopbench_worker_processes",
            "Worker processes: those that train, evaluate or diagnose.",
            value=len(workers),
        )
        yield GaugeMetricFamily(
            "loopbench_worker_memory_bytes",
            "Memory that worker processes have to themselves.",
            value=sum(get_private_memory(child.pid) for child in workers),
        )
        yield CounterMetricFamily(
            "loopbench_worker_cpu_seconds",
            "Processor time of worker processes, with those that have ended.",
            value=self._without_decrease({parent.pid for parent in parents}, used),
        )

    def _without_decrease(self, parents: set[int], used: float) -> float:
        """``used``, but never less than before, unless it is that of another forkserver."""
        with self._lock:
            self._used = max(used, self._used) if parents == self._parents else used
            self._parents = parents
            return self._used


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.children())
    return []


def _seconds(process: psutil.Process, *kinds: str) -> float:
    """0 once the process is gone."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(sum(getattr(times, kind) for kind in kinds))
    return 0.0
