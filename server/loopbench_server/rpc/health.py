"""The standard health service, for liveness and readiness.

That of grpcio-health-checking holds a lock while it writes to a watcher: one that does not read would keep the server
from saying that it is ready, or that it drains.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc.aio import ServicerContext
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench_server.runs.active_run import ChangeNotifier

Status = health_pb2.HealthCheckResponse.ServingStatus
Answer = health_pb2.HealthCheckResponse
Request = health_pb2.HealthCheckRequest

# The name under which the server as a whole is asked for.
OVERALL = ""


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated without types
    """Tells what :meth:`set` says; to be used on the event loop."""

    def __init__(self) -> None:
        self._statuses: dict[str, Any] = {}
        self._notifier = ChangeNotifier()

    def set(self, service: str, status: Any) -> None:
        """``status`` is SERVING or NOT_SERVING."""
        self._statuses[service] = status
        self._notifier.notify()

    async def Check(self, request: Any, context: ServicerContext[Any, Any]) -> Any:  # noqa: N802  gRPC gives the name
        """The status of a service; NOT_FOUND where it is not known."""
        if request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return Answer(status=self._statuses[request.service])

    async def Watch(self, request: Any, context: ServicerContext[Any, Any]) -> AsyncIterator[Any]:  # noqa: ARG002, N802  as Check
        """The status of a service, and every change; SERVICE_UNKNOWN as long as it is not known."""
        told = None
        while True:
            version = self._notifier.version
            status = self._statuses.get(request.service, Answer.SERVICE_UNKNOWN)
            if status != told:
                yield Answer(status=status)
                told = status
            await self._notifier.wait_after(version)
