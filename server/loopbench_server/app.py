"""Puts the server together, and runs it until it is told to stop."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import prometheus_client
import sqlalchemy as sa
import structlog
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from loopbench.spec import ServerLimits
from loopbench.v1 import benchmark_service_pb2, benchmark_service_pb2_grpc
from loopbench_server import logs
from loopbench_server.boundary import Boundary
from loopbench_server.info import ServerStatus
from loopbench_server.metrics import Metrics
from loopbench_server.runs.attempt import Surroundings
from loopbench_server.runs.capabilities import describe
from loopbench_server.runs.evaluations import Evaluations
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.leases import keep_leases
from loopbench_server.runs.processes import Processes
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.store import Store
from loopbench_server.service import BenchmarkService
from loopbench_server.settings import Settings

log = structlog.get_logger()

SERVICE_NAME = benchmark_service_pb2.DESCRIPTOR.services_by_name["BenchmarkService"].full_name
MESSAGE_BYTES = 1 << 20
# A client that waits for a run pings to notice a dead server; by default gRPC takes that for abuse and hangs up.
CLIENT_PING_MILLISECONDS = 10_000
# A caller whose host vanishes is noticed as well, and its run called off.
KEEPALIVE = {"grpc.keepalive_time_ms": 30_000, "grpc.keepalive_timeout_ms": 10_000}
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
# Open streams, after the runs they wait for have ended, get this long to end by themselves.
GRACE_SECONDS = 2.0


class StartError(Exception):
    """The server cannot start, for a reason that its user can mend."""


def _open_store(url: str) -> Store:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername.startswith("sqlite") and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        return Store(url, owner=str(uuid.uuid4()))
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise StartError(f"--store-url: the database cannot be opened: {error}") from error


def _serve_metrics(address: str, registry: prometheus_client.CollectorRegistry) -> str:
    """The address that metrics are served on, with the port that 0 became."""
    if address == "none":
        return address
    host, _, port = address.rpartition(":")
    try:
        server, _ = prometheus_client.start_http_server(int(port), host.strip("[]"), registry)
    except (OSError, ValueError, OverflowError) as error:
        raise StartError(f"--metrics-address: cannot serve metrics on {address}: {error}") from error
    return f"{host}:{server.server_port}"


def _registry() -> prometheus_client.CollectorRegistry:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    return registry


def _stop_event(*, on_stdin_eof: bool) -> asyncio.Event:
    """Set by SIGTERM, SIGINT and, where asked for, the end of standard input."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if on_stdin_eof:

        def read() -> None:
            # On a thread, because not everything that standard input may be can be waited for by an event loop.
            while os.read(sys.stdin.fileno(), 4096):
                pass
            with contextlib.suppress(RuntimeError):  # the loop may have ended first
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=read, daemon=True, name="stdin").start()
    return stop


@asynccontextmanager
async def _grpc_server(
    address: str, service: BenchmarkService, health: grpc_health.aio.HealthServicer, metrics: Metrics
) -> AsyncIterator[tuple[grpc.aio.Server, int]]:
    server = grpc.aio.server(
        interceptors=[Boundary(metrics)],
        # Without SO_REUSEPORT a second server on the same port is an error, not a silent half of the traffic.
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", CLIENT_PING_MILLISECONDS),
            *KEEPALIVE.items(),
        ],
    )
    benchmark_service_pb2_grpc.add_BenchmarkServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(
        (SERVICE_NAME, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME), server
    )
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(f"--address: cannot serve on {address}; is the port taken?") from error
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(GRACE_SECONDS)


async def _warm_up(
    processes: Processes, surroundings: Surroundings, status: ServerStatus, health: grpc_health.aio.HealthServicer
) -> None:
    described = await describe(processes, surroundings)
    status.warmed_up(described)
    await health.set(SERVICE_NAME, SERVING)
    log.info("ready", devices=[device.name for device in described.devices])


def _in_background(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> asyncio.Task[None]:
    """Without such work the server is of no use: if it fails, the server stops, and its log says why."""

    def look(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            log.critical("the server cannot go on", exc_info=task.exception())
            stop.set()

    task = asyncio.create_task(work)
    task.add_done_callback(look)
    return task


async def _run(settings: Settings) -> None:
    asyncio.get_running_loop().set_default_executor(
        # A thread waits for each worker's next message; the others are for the store.
        ThreadPoolExecutor(max_workers=2 * settings.slots + 16, thread_name_prefix="worker-io")
    )
    stop = _stop_event(on_stdin_eof=settings.exit_on_stdin_eof)
    store = _open_store(settings.store_url)
    registry = _registry()
    metrics = Metrics(registry, version("loopbench"), settings.slots)
    surroundings = Surroundings(settings.threads_per_run, settings.data_dir, settings.tensorboard_dir)
    processes = Processes()
    limits = Limits(settings.slots, settings.queue_size)
    executor = RunExecutor(store, processes, settings.slots, surroundings, metrics)
    scheduler = Scheduler(store, executor, limits)
    evaluations = Evaluations(store, processes, settings.slots, surroundings)
    status = ServerStatus(
        scheduler, ServerLimits(slots=limits.slots, queue_size=limits.queue_size, message_bytes=MESSAGE_BYTES)
    )
    health = grpc_health.aio.HealthServicer()
    await health.set(grpc_health.OVERALL_HEALTH, SERVING)
    await health.set(SERVICE_NAME, NOT_SERVING)
    service = BenchmarkService(scheduler, evaluations, store, status)
    async with _grpc_server(settings.address, service, health, metrics) as (_, port):
        metrics_address = _serve_metrics(settings.metrics_address, registry)
        address = f"{settings.address.rpartition(':')[0]}:{port}"
        print(f"loopbench-server listening on {address}", flush=True)  # noqa: T201  whoever started us reads it
        log.info("listening", address=address, metrics_address=metrics_address)
        await processes.warm_up()
        background = [
            _in_background(_warm_up(processes, surroundings, status, health), stop),
            _in_background(keep_leases(store, executor), stop),
        ]
        await stop.wait()
        log.info("draining", seconds=settings.drain_seconds, running=scheduler.running, queued=scheduler.queued)
        await health.set(SERVICE_NAME, NOT_SERVING)
        await scheduler.drain(settings.drain_seconds)
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
    store.close()
    log.info("stopped")


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; then drains and returns.

    Raises:
        StartError: the address is taken, the database cannot be opened.
    """
    logs.configure(settings)
    asyncio.run(_run(settings))
