"""All Prometheus metrics of the server. Labels are bounded: run ids and seeds are in the store only."""

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

from loopbench_server.revision import source_revision
from loopbench_server.telemetry.metrics.host import BuildMetrics, ServiceMetrics, StoreMetrics, new_registry
from loopbench_server.telemetry.metrics.labels import SPECS, Spec
from loopbench_server.telemetry.metrics.results import ResultMetrics
from loopbench_server.telemetry.metrics.rpcs import Rpc, RpcMetrics
from loopbench_server.telemetry.metrics.runs import RunMetrics
from loopbench_server.workers.protocol import Described


class TrainingMetrics:
    """Metrics of a program that trains ``specs`` on ``slots`` slots with a queue of ``queue_size``."""

    def __init__(self, slots: int, queue_size: int, specs: Iterable[Spec] = SPECS) -> None:
        self.registry = new_registry()
        self.runs = RunMetrics(self.registry, slots, queue_size, specs)
        self.store = StoreMetrics(self.registry)
        self.build = BuildMetrics(self.registry, version("keras-loopbench"), source_revision())

    def set_description(self, described: Described) -> None:
        """Set packages and devices as a worker describes them."""
        self.build.set_package_versions(described.versions)
        self.runs.set_devices(device.type for device in described.devices)


class Metrics(TrainingMetrics):
    """All metrics of a server that serves ``methods``."""

    def __init__(self, slots: int, queue_size: int, methods: Iterable[Rpc]) -> None:
        super().__init__(slots, queue_size)
        self.rpcs = RpcMetrics(self.registry, methods)
        self.results = ResultMetrics(self.registry, datetime.now(UTC))
        self.service = ServiceMetrics(self.registry)

    def set_description(self, described: Described) -> None:
        """Set packages, devices and environments as a worker describes them."""
        super().set_description(described)
        self.results.set_environments(described.environments)
