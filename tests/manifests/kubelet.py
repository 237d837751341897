"""The probes of a server's pod."""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.manifests.builds import Object
from tests.manifests.running import PATIENCE, Node, Running, lone

SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(frozen=True)
class Server:
    """A server's pod that is ready, and its addresses on this machine."""

    running: Running
    container: Object
    address: str
    health: str
    metrics: str

    def probed(self, kind: str) -> bool:
        """Whether that probe of the manifest succeeds now."""
        return probed(self.container[kind], self.health)

    def scraped(self) -> str:
        """What Prometheus gets."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=30) as answer:
            return str(answer.read().decode())


def probed(probe: Object, address: str) -> bool:
    """As the kubelet does: in plain text, to the port that the probe names."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
            return bool(stub.Check(request, timeout=probe.get("timeoutSeconds", 1)).status == SERVING)
        except grpc.RpcError:
            return False


def _until(condition: Callable[[], bool], running: Running) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert running.process.poll() is None, running.errors()
        assert time.monotonic() < end, running.errors()
        time.sleep(0.2)


def ready(node: Node, build: str) -> Server:
    """The server of a build, once its startup and readiness probes succeed."""
    running = node.run(build, "Deployment")
    _until(lambda: running.event("listening") is not None, running)
    told = running.event("listening") or {}
    addresses = (told[name] for name in ("address", "health_address", "metrics_address"))
    server = Server(running, lone(build, "Deployment")[1], *addresses)
    _until(lambda: server.probed("startupProbe"), running)
    _until(lambda: server.probed("readinessProbe"), running)
    return server
