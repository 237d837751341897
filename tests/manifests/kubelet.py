"""The probes of a server's pod."""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.manifests.builds import Object
from tests.manifests.running import TIMEOUT_SECONDS, Node, Running, only_container

SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(frozen=True)
class Server:
    """A ready server's pod and its addresses on this machine."""

    running: Running
    container: Object
    address: str
    health: str
    metrics: str

    def probed(self, kind: str) -> bool:
        """Whether a probe of the manifest succeeds now."""
        return probed(self.container[kind], self.health)

    def scraped(self) -> str:
        """The metrics page that Prometheus scrapes."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=30) as answer:
            return str(answer.read().decode())


def probed(probe: Object, address: str) -> bool:
    """Probes like the kubelet: in plain text, on the port that the probe names."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
            return bool(stub.Check(request, timeout=probe.get("timeoutSeconds", 1)).status == SERVING)
        except grpc.RpcError:
            return False


def _until(condition: Callable[[], bool], running: Running) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert running.process.poll() is None, running.errors()
        assert time.monotonic() < end, running.errors()
        time.sleep(0.2)


def ready(node: Node, build: str) -> Server:
    """The server of a build after its startup and readiness probes succeed."""
    running = node.run(build, "Deployment")
    _until(lambda: running.event("listening") is not None, running)
    logged = running.event("listening") or {}
    addresses = (logged[name] for name in ("address", "health_address", "metrics_address"))
    server = Server(running, only_container(build, "Deployment")[1], *addresses)
    _until(lambda: server.probed("startupProbe"), running)
    _until(lambda: server.probed("readinessProbe"), running)
    return server
