"""Information about the server for callers."""

from importlib.metadata import version

from loopbench.spec import ServerInfo, ServerLimits
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.workers.protocol import Described


class ServerStatus:
    """State of the server: not ready until a worker has described the machine, and again once the server drains."""

    def __init__(self, scheduler: Scheduler, limits: ServerLimits) -> None:
        self._scheduler = scheduler
        self._limits = limits
        self._described = Described(versions={}, devices=(), datasets=(), environments=())
        self.ready = False

    def set_description(self, described: Described) -> None:
        """Store a worker's description of the machine."""
        self._described = described
        self.ready = True

    def info(self) -> ServerInfo:
        """Return the current information."""
        return ServerInfo(
            ready=self.ready and not self._scheduler.draining,
            versions={"loopbench": version("keras-loopbench"), "grpcio": version("grpcio"), **self._described.versions},
            devices=self._described.devices,
            datasets=self._described.datasets,
            environments=self._described.environments,
            limits=self._limits,
            running=self._scheduler.running,
            queued=self._scheduler.queued,
        )
