"""The standard health service, for liveness and readiness.

The implementation of grpcio-health-checking holds a lock while it writes to a watcher: a watcher that does not read
would keep the server from reporting a change.
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

# Name of the server as a whole.
OVERALL = ""


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated without types
    """Reports the statuses that :meth:`set` sets. Only for the event loop's thread."""

    def __init__(self) -> None:
        self._statuses: dict[str, Any] = {}
        self._notifier = ChangeNotifier()

    def set(self, service: str, status: Any) -> None:
        """Set the status of ``service`` to SERVING or NOT_SERVING."""
        self._statuses[service] = status
        self._notifier.notify()

    async def Check(self, request: Any, context: ServicerContext[Any, Any]) -> Any:  # noqa: N802  gRPC gives the name
        """Return the status of a service, or NOT_FOUND if it is unknown."""
        if request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return Answer(status=self._statuses[request.service])

    async def Watch(self, request: Any, context: ServicerContext[Any, Any]) -> AsyncIterator[Any]:  # noqa: ARG002, N802  as Check
        """Yield the status of a service and every change; SERVICE_UNKNOWN while it is unknown."""
        sent = None
        while True:
            version = self._notifier.version
            status = self._statuses.get(request.service, Answer.SERVICE_UNKNOWN)
            if status != sent:
                yield Answer(status=status)
                sent = status
            await self._notifier.wait_after(version)
