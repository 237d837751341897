"""Times the start of a server in the container that LOOPBENCH_IMAGE names, and of one outside, in turn.

``python -m benchmarks.container_start``. Cold starts come after the cache of files was emptied, which takes root.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.containers import Image, as_container, engine
from tests.support.servers import Deployment, as_process, start_server, stop_server

ROUNDS = 5
READY = "loopbench.v1.BenchmarkService"
PAUSE = 0.01


def _empty_cache() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def _wait(health: health_pb2_grpc.HealthStub, service: str) -> None:
    request = health_pb2.HealthCheckRequest(service=service)
    while health.Check(request, wait_for_ready=True).status != health_pb2.HealthCheckResponse.SERVING:
        time.sleep(PAUSE)


def start_seconds(deployment: Deployment) -> tuple[float, float]:
    """Seconds from the command to the server's being live, and to its being ready."""
    data = os.environ.get("LOOPBENCH_DATA_DIR")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        server = start_server(Path(folder), *(["--data-dir", data] if data else []), deployment=deployment)
        with grpc.insecure_channel(server.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            _wait(health, "")
            live = time.perf_counter() - began
            _wait(health, READY)
            ready = time.perf_counter() - began
        stop_server(server)
    return live, ready


def main() -> None:
    """Prints a line for each kind of start and each deployment, with medians and ranges."""
    name, words = os.environ.get("LOOPBENCH_IMAGE"), engine()
    if not name or not words:
        sys.exit("LOOPBENCH_IMAGE has to name an image, and there has to be docker or podman")
    deployments = {"container": as_container(Image(name, words)), "process": as_process}
    for kind in ("cold", "warm"):
        measured: dict[str, list[tuple[float, float]]] = {deployed: [] for deployed in deployments}
        for _ in range(ROUNDS):
            for deployed, deployment in deployments.items():
                if kind == "cold":
                    _empty_cache()
                measured[deployed].append(start_seconds(deployment))
        for deployed, times in measured.items():
            shown = [
                f"{what} {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
                for what, seconds in zip(("live", "ready"), zip(*times, strict=True), strict=True)
            ]
            print(f"{kind} {deployed}: {', '.join(shown)}")


if __name__ == "__main__":
    main()
