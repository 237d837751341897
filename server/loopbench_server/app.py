"""Wires the parts of a server and runs it until a signal stops it."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog
from grpc_health.v1 import health_pb2
from opentelemetry.trace import NoOpTracer, Tracer

from loopbench.spec import Device, ServerLimits
from loopbench.streams import write_line
from loopbench_server.blocking import run_blocking, run_blocking_detached, start_threads
from loopbench_server.bootstrap import make_worker_config, open_store, serve_metrics
from loopbench_server.config import Settings
from loopbench_server.errors import StartError, StoreFailedError
from loopbench_server.fd_limit import raise_fd_limit
from loopbench_server.malloc import tune_malloc
from loopbench_server.operations.diagnose import Diagnoser
from loopbench_server.operations.evaluate import Evaluator
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.operations.verify import Verifier
from loopbench_server.rpc.health import OVERALL, Health
from loopbench_server.rpc.interceptors import make_interceptors
from loopbench_server.rpc.methods import BENCHMARK, METHODS
from loopbench_server.rpc.server import MESSAGE_BYTES, grpc_server, health_server
from loopbench_server.rpc.server_info import ServerStatus
from loopbench_server.rpc.servicer import BenchmarkService
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.cancel_requests import poll_cancel_requests
from loopbench_server.runs.maintenance.ended_runs import follow_results
from loopbench_server.runs.maintenance.leases import reap_expired, renew_leases
from loopbench_server.runs.maintenance.polling import FORKSERVER_CHECK, STORE_CHECK, WRITES_CHECK, repeat
from loopbench_server.runs.maintenance.retention import enforce_retention, make_retention
from loopbench_server.runs.observers import Observers
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.slots import Slots
from loopbench_server.security.access import load_access
from loopbench_server.stopping import make_stop_event
from loopbench_server.telemetry import logging
from loopbench_server.telemetry.metrics import Metrics
from loopbench_server.telemetry.run_spans import RunSpans
from loopbench_server.telemetry.tracing import tracing
from loopbench_server.workers.capabilities import describe
from loopbench_server.workers.pool import WorkerPool

log = structlog.get_logger()

# Time for the background work to end after the server has drained.
BACKGROUND_TIMEOUT_SECONDS = 1.0
STORE_CHECK_SECONDS, WRITES_CHECK_SECONDS, FORKSERVER_CHECK_SECONDS = 1.0, 5.0, 15.0

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class App:
    """A server with all of its parts."""

    def __init__(self, settings: Settings, tracer: Tracer) -> None:
        slots = settings.slots + settings.gpu_slots
        limits = Limits(slots, settings.queue_size, settings.caller_runs)
        self._settings = settings
        self._failed = False
        self._ready = False
        self._conditions = {"processes": False, "store": True, "taking_runs": True}
        self._access = load_access(settings)
        self._worker_config = make_worker_config(settings)
        self._metrics = metrics = Metrics(limits.slots, limits.queue_size, METHODS.values())
        self._store = open_store(settings, metrics.store)
        self._interceptors = make_interceptors(metrics.rpcs, tracer, self._access.tokens)
        # Probes come all the time; a trace of each would show nothing.
        self._health_interceptors = make_interceptors(metrics.rpcs, NoOpTracer())
        observers = Observers(metrics.runs, RunSpans(tracer))
        self._pool = WorkerPool(self._worker_config, settings.slots, settings.gpu_slots, settings.standby_workers)
        self._slots = Slots(settings.slots, settings.gpu_slots)
        self._executor = RunExecutor(self._store, self._pool, self._slots, self._worker_config, observers)
        self._scheduler = Scheduler(self._store, self._executor, limits)
        self._status = ServerStatus(
            self._scheduler,
            ServerLimits(slots=limits.slots, queue_size=limits.queue_size, message_bytes=MESSAGE_BYTES),
        )
        self._health = Health()
        self._tasks = tasks = TaskRunner(self._pool, slots, settings.queue_size, self._worker_config.limits)
        self._service = BenchmarkService(
            self._scheduler,
            Evaluator(self._store, tasks, self._worker_config),
            Diagnoser(self._store, tasks, Verifier(self._scheduler, slots), self._worker_config),
            self._store,
            self._status,
            metrics=metrics.service,
        )
        metrics.service.watch_tasks(tasks)
        if self._access.expiry:
            metrics.service.watch_certificate(self._access.expiry)
        self._stop = make_stop_event(on_stdin_eof=settings.exit_on_stdin_eof, drain_seconds=settings.drain_seconds)

    async def serve(self) -> None:
        """Serve until a stop is requested and the server has drained."""
        self._health.set(OVERALL, SERVING)
        self._health.set(BENCHMARK, NOT_SERVING)
        serving = grpc_server(self._settings.address, self._service, self._health, self._interceptors, self._access)
        probed = health_server(self._settings.health_address, self._health, self._health_interceptors)
        async with serving as address, probed as health_address:
            metrics_address = serve_metrics(self._settings.metrics_address, self._metrics.registry)
            log.info("listening", address=address, metrics_address=metrics_address, health_address=health_address)
            # Last: the program that started the server waits for this line, and then reads the rest from the log.
            _print_address(address)
            background = [self._start_background(work) for work in self._background_work()]
            await self._stop.wait()
            await self._drain()
            for task in background:
                task.cancel()
            # Work that waits for a database is left behind.
            await asyncio.wait(background, timeout=BACKGROUND_TIMEOUT_SECONDS)
            await self._pool.close()
        self._store.close()
        if self._failed:
            raise StartError("the server cannot continue; see its log for the cause")
        log.info("stopped")

    def _background_work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        check_writes = partial(run_blocking, self._store.check_writes)
        return (
            self._track_workers(),
            renew_leases(self._store, self._executor),
            reap_expired(self._store, self._executor),
            poll_cancel_requests(self._store, self._executor),
            enforce_retention(self._store, self._executor, make_retention(self._settings)),
            follow_results(self._store, self._metrics.results, self._executor.observer.work_failed),
            self._check_store_integrity(),
            repeat(STORE_CHECK, STORE_CHECK_SECONDS, self._check_store, self._executor.observer.work_failed),
            repeat(WRITES_CHECK, WRITES_CHECK_SECONDS, check_writes, self._executor.observer.work_failed),
            repeat(FORKSERVER_CHECK, FORKSERVER_CHECK_SECONDS, self._pool.check, self._executor.observer.work_failed),
        )

    def _start_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start work without which the server is of no use: if it fails, the server stops."""

        def check(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception():
                log.critical("the server cannot continue", exc_info=task.exception())
                self._failed = True
                self._stop.set()

        task = asyncio.create_task(work)
        task.add_done_callback(check)
        return task

    async def _track_workers(self) -> None:
        """Keep the server ready while worker processes start. Never returns."""
        while True:
            described = await describe(self._pool, self._worker_config)
            self._status.set_description(described)
            self._metrics.set_description(described)
            self._slots.sees_gpu = any(device.type is Device.GPU for device in described.devices)
            self._set_ready(processes=True)
            async with self._pool.standing_by(sees_gpu=self._slots.sees_gpu):
                await self._pool.wait_broken()
                self._set_ready(processes=False)

    async def _check_store_integrity(self) -> None:
        try:
            await run_blocking_detached(self._store.check_integrity, "check-integrity")
        except (StoreFailedError, RuntimeError) as error:  # or the system allows no more threads
            log.error("database integrity check failed", error=str(error))  # noqa: TRY400  no traceback

    async def _check_store(self) -> None:
        """Keep the server not ready while the store cannot keep results."""
        self._set_ready(store=self._store.is_durable)

    def _set_ready(self, **conditions: bool) -> None:
        """Update conditions; the server is ready while all of them hold."""
        self._conditions |= conditions
        self._status.ready = ready = all(self._conditions.values())
        if ready == self._ready:
            return
        self._ready = ready
        self._metrics.service.ready.set(ready)
        self._health.set(BENCHMARK, SERVING if ready else NOT_SERVING)
        if ready:
            log.info("ready", devices=[device.name for device in self._status.info().devices])
        else:
            log.info("not ready", cause=[part for part, is_able in self._conditions.items() if not is_able])

    async def _drain(self) -> None:
        seconds = self._settings.drain_seconds
        counts = {"running": self._scheduler.running, "queued": self._scheduler.queued, "tasks": self._tasks.running}
        log.info("draining", seconds=seconds, **counts)
        self._set_ready(taking_runs=False)
        await asyncio.gather(self._scheduler.drain(seconds), self._tasks.drain(seconds))


def _print_address(address: str) -> None:
    """Print the line; a server under a supervisor is of use without it."""
    try:
        write_line(f"loopbench-server listening on {address}")
    except OSError as error:
        log.warning("standard output cannot be written", error=error.strerror)


async def _run(settings: Settings, tracer: Tracer) -> None:
    try:
        # Each slot may hold a run, and an evaluation or a diagnosis beside it. Standby workers prepare one at a time on
        # the CPU and on each GPU.
        start_threads(processes=2 * settings.slots + 3 * settings.gpu_slots + 1)
    except RuntimeError as error:
        raise StartError(f"{error}: raise the limit of threads (ulimit -u, or the container's pids limit)") from error
    await App(settings, tracer).serve()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Raises:
        StartError: the address is taken or is open to other machines without protection, the database or a file cannot
            be opened, or traces are requested and cannot be exported.
    """
    tune_malloc()
    raise_fd_limit()
    logging.configure(settings)
    with tracing() as tracer:
        asyncio.run(_run(settings, tracer))
