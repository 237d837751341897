"""Puts the server together, and runs it until it is told to stop."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import prometheus_client
import sqlalchemy as sa
import structlog
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2

from loopbench.spec import ServerLimits
from loopbench_server import logs
from loopbench_server.allocation import return_large_blocks
from loopbench_server.analysis.diagnoses import Diagnoses
from loopbench_server.analysis.verification import Verification
from loopbench_server.info import ServerStatus
from loopbench_server.metrics import Metrics
from loopbench_server.open_files import allow_as_many_as_possible
from loopbench_server.runs.attempt import Surroundings
from loopbench_server.runs.capabilities import describe
from loopbench_server.runs.evaluations import Evaluations
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.leases import keep_leases
from loopbench_server.runs.migrating import NewerSchemaError
from loopbench_server.runs.processes import Processes
from loopbench_server.runs.questions import Questions
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.store import Store
from loopbench_server.service import BenchmarkService
from loopbench_server.serving import MESSAGE_BYTES, SERVICE_NAME, StartError, grpc_server, serve_metrics
from loopbench_server.settings import Settings

log = structlog.get_logger()

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def _open_store(url: str) -> Store:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername.startswith("sqlite") and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        return Store(url, owner=str(uuid.uuid4()))
    except (sa.exc.SQLAlchemyError, OSError, ImportError, NewerSchemaError) as error:
        raise StartError(f"--store-url: the database cannot be opened: {error}") from error


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


class App:
    """All parts of a server, wired."""

    def __init__(self, settings: Settings) -> None:
        limits = Limits(settings.slots, settings.queue_size)
        self._settings = settings
        self._store = _open_store(settings.store_url)
        self._registry = _registry()
        self._metrics = Metrics(self._registry, version("loopbench"), settings.slots)
        self._surroundings = Surroundings(settings.threads_per_run, settings.data_dir, settings.tensorboard_dir)
        self._processes = Processes(settings.data_dir)
        self._executor = RunExecutor(self._store, self._processes, settings.slots, self._surroundings, self._metrics)
        self._scheduler = Scheduler(self._store, self._executor, limits)
        self._status = ServerStatus(
            self._scheduler,
            ServerLimits(slots=limits.slots, queue_size=limits.queue_size, message_bytes=MESSAGE_BYTES),
        )
        self._health = grpc_health.aio.HealthServicer()
        questions = Questions(self._processes, settings.slots)
        self._service = BenchmarkService(
            self._scheduler,
            Evaluations(self._store, questions, self._surroundings),
            Diagnoses(self._store, questions, Verification(self._scheduler, settings.slots), self._surroundings),
            self._store,
            self._status,
        )
        self._stop = _stop_event(on_stdin_eof=settings.exit_on_stdin_eof)

    async def serve(self) -> None:
        """Until the server is told to stop and has drained."""
        await self._health.set(grpc_health.OVERALL_HEALTH, SERVING)
        await self._health.set(SERVICE_NAME, NOT_SERVING)
        async with grpc_server(self._settings.address, self._service, self._health, self._metrics) as address:
            metrics_address = serve_metrics(self._settings.metrics_address, self._registry)
            print(f"loopbench-server listening on {address}", flush=True)  # noqa: T201  whoever started us reads it
            log.info("listening", address=address, metrics_address=metrics_address)
            background = [
                self._in_background(self._warm_up()),
                self._in_background(keep_leases(self._store, self._executor)),
            ]
            await self._stop.wait()
            await self._drain()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
        self._store.close()
        log.info("stopped")

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Without such work the server is of no use: if it fails, the server stops, and its log says why."""

        def look(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception():
                log.critical("the server cannot go on", exc_info=task.exception())
                self._stop.set()

        task = asyncio.create_task(work)
        task.add_done_callback(look)
        return task

    async def _warm_up(self) -> None:
        await self._processes.warm_up()
        described = await describe(self._processes, self._surroundings)
        self._status.warmed_up(described)
        await self._health.set(SERVICE_NAME, SERVING)
        log.info("ready", devices=[device.name for device in described.devices])

    async def _drain(self) -> None:
        seconds = self._settings.drain_seconds
        log.info("draining", seconds=seconds, running=self._scheduler.running, queued=self._scheduler.queued)
        await self._health.set(SERVICE_NAME, NOT_SERVING)
        await self._scheduler.drain(seconds)


async def _run(settings: Settings) -> None:
    # A thread waits for each worker's next message; the others are for the store.
    threads = ThreadPoolExecutor(max_workers=2 * settings.slots + 16, thread_name_prefix="worker-io")
    asyncio.get_running_loop().set_default_executor(threads)
    await App(settings).serve()


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; then drains and returns.

    Raises:
        StartError: the address is taken, the database cannot be opened.
    """
    return_large_blocks()
    allow_as_many_as_possible()
    logs.configure(settings)
    asyncio.run(_run(settings))
