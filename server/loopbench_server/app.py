"""Puts the server together, and runs it until it is told to stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from grpc_health.v1 import health_pb2
from opentelemetry.trace import NoOpTracer, Tracer

from loopbench.spec import ServerLimits
from loopbench_server import logs
from loopbench_server.access.configured import Access, AccessError, access_of
from loopbench_server.allocation import keep_little
from loopbench_server.analysis.diagnoses import Diagnoses
from loopbench_server.analysis.verification import Verification
from loopbench_server.boundary import Boundary
from loopbench_server.errors import StoreFailedError
from loopbench_server.health import OVERALL, Health
from loopbench_server.info import ServerStatus
from loopbench_server.metrics import Metrics
from loopbench_server.open_files import allow_as_many_as_possible
from loopbench_server.run_spans import RunSpans
from loopbench_server.runs.cancellations import heed_cancellations
from loopbench_server.runs.capabilities import describe
from loopbench_server.runs.evaluations import Evaluations
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.leases import end_abandoned, keep_leases
from loopbench_server.runs.observers import Observers
from loopbench_server.runs.polling import FORKSERVER, STORE, repeat
from loopbench_server.runs.processes import Processes
from loopbench_server.runs.questions import Questions
from loopbench_server.runs.retention import keep_tidy, retention_of
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.stored_results import follow_results
from loopbench_server.runs.threads import in_own_thread, start_threads
from loopbench_server.service import BenchmarkService
from loopbench_server.serving import MESSAGE_BYTES, SERVICE_NAME, grpc_server, health_server, served_methods
from loopbench_server.settings import Settings
from loopbench_server.starting import (
    StartError,
    open_store,
    serve_metrics,
    surroundings_of,
)
from loopbench_server.stopping import stop_event
from loopbench_server.tracing import tracing

log = structlog.get_logger()

# Seconds for the background work to end, once the server has drained.
BACKGROUND_SECONDS = 1.0
STORE_SECONDS, FORKSERVER_SECONDS = 1.0, 15.0

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def _access(settings: Settings) -> Access:
    try:
        return access_of(settings)
    except AccessError as error:
        raise StartError(str(error)) from error


class App:
    """All parts of a server, wired."""

    def __init__(self, settings: Settings, tracer: Tracer) -> None:
        limits = Limits(settings.slots, settings.queue_size, settings.caller_runs)
        self._settings = settings
        self._failed = False
        self._ready = False
        self._able = {"processes": False, "store": True, "taking_runs": True}
        self._access = _access(settings)
        self._surroundings = surroundings_of(settings)
        self._metrics = metrics = Metrics(limits.slots, limits.queue_size, served_methods())
        self._store = open_store(settings, metrics.store)
        self._boundary = Boundary(metrics.rpcs, tracer)
        # Probes come all the time, and a trace of each shows nothing.
        self._health_boundary = Boundary(metrics.rpcs, NoOpTracer())
        observers = Observers(metrics.runs, RunSpans(tracer))
        self._processes = Processes(settings.data_dir, settings.run_seconds)
        self._executor = RunExecutor(self._store, self._processes, settings.slots, self._surroundings, observers)
        self._scheduler = Scheduler(self._store, self._executor, limits)
        self._status = ServerStatus(
            self._scheduler,
            ServerLimits(slots=limits.slots, queue_size=limits.queue_size, message_bytes=MESSAGE_BYTES),
        )
        self._health = Health()
        questions = Questions(self._processes, settings.slots, settings.queue_size, self._surroundings.bounds)
        self._service = BenchmarkService(
            self._scheduler,
            Evaluations(self._store, questions, self._surroundings),
            Diagnoses(self._store, questions, Verification(self._scheduler, settings.slots), self._surroundings),
            self._store,
            self._status,
            metrics=metrics.service,
        )
        metrics.service.asks(questions)
        if self._access.expiry:
            metrics.service.certificate_expires(self._access.expiry)
        self._stop = stop_event(on_stdin_eof=settings.exit_on_stdin_eof, drain_seconds=settings.drain_seconds)

    async def serve(self) -> None:
        """Until the server is told to stop and has drained."""
        self._health.set(OVERALL, SERVING)
        self._health.set(SERVICE_NAME, NOT_SERVING)
        serving = grpc_server(self._settings.address, self._service, self._health, self._boundary, self._access)
        probed = health_server(self._settings.health_address, self._health, self._health_boundary)
        async with serving as address, probed as health_address:
            metrics_address = serve_metrics(self._settings.metrics_address, self._metrics.registry)
            log.info("listening", address=address, metrics_address=metrics_address, health_address=health_address)
            # Last: whoever started us reads it, and then may look into the log for the rest.
            print(f"loopbench-server listening on {address}", flush=True)  # noqa: T201
            background = [self._in_background(work) for work in self._works()]
            await self._stop.wait()
            await self._drain()
            for task in background:
                task.cancel()
            # One that waits for a database is left behind.
            await asyncio.wait(background, timeout=BACKGROUND_SECONDS)
            await self._processes.close()
        self._store.close()
        if self._failed:
            raise StartError("the server could not go on; its log says why")
        log.info("stopped")

    def _works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (
            self._keep_ready(),
            keep_leases(self._store, self._executor),
            end_abandoned(self._store, self._executor),
            heed_cancellations(self._store, self._executor),
            keep_tidy(self._store, self._executor, retention_of(self._settings)),
            follow_results(self._store, self._metrics.results, self._executor.observer.work_failed),
            self._examine_store(),
            repeat(STORE, STORE_SECONDS, self._look_at_store, self._executor.observer.work_failed),
            repeat(FORKSERVER, FORKSERVER_SECONDS, self._processes.check, self._executor.observer.work_failed),
        )

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Without such work the server is of no use: if it fails, the server stops, and its log says why."""

        def look(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception():
                log.critical("the server cannot go on", exc_info=task.exception())
                self._failed = True
                self._stop.set()

        task = asyncio.create_task(work)
        task.add_done_callback(look)
        return task

    async def _keep_ready(self) -> None:
        """For ever: ready once a worker has described the machine, until no training process can be started."""
        while True:
            described = await describe(self._processes, self._surroundings)
            self._status.warmed_up(described)
            self._metrics.described(described)
            self._set_ready(processes=True)
            await self._processes.broke()
            self._set_ready(processes=False)

    async def _examine_store(self) -> None:
        try:
            await in_own_thread(self._store.examine, "examine")
        except (StoreFailedError, RuntimeError) as error:  # or the system allows no more threads
            log.error("the database cannot be examined, or is damaged", error=str(error))  # noqa: TRY400  no traceback

    async def _look_at_store(self) -> None:
        """The server is not ready while the store cannot keep results."""
        self._set_ready(store=self._store.keeps)

    def _set_ready(self, **able: bool) -> None:
        """Ready as long as every part is able to do its work."""
        self._able |= able
        self._status.warm = ready = all(self._able.values())
        if ready == self._ready:
            return
        self._ready = ready
        self._metrics.service.ready.set(ready)
        self._health.set(SERVICE_NAME, SERVING if ready else NOT_SERVING)
        if ready:
            log.info("ready", devices=[device.name for device in self._status.info().devices])
        else:
            log.info("not ready", cause=[part for part, is_able in self._able.items() if not is_able])

    async def _drain(self) -> None:
        seconds = self._settings.drain_seconds
        log.info("draining", seconds=seconds, running=self._scheduler.running, queued=self._scheduler.queued)
        self._set_ready(taking_runs=False)
        await self._scheduler.drain(seconds)


async def _run(settings: Settings, tracer: Tracer) -> None:
    try:
        # Each slot may have a run, and beside it an evaluation or a diagnosis.
        start_threads(processes=2 * settings.slots)
    except RuntimeError as error:
        raise StartError(
            f"{error}: raise the limit of threads (ulimit -u, or the container's limit of pids)"
        ) from error
    await App(settings, tracer).serve()


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; then drains and returns.

    Raises:
        StartError: the address is taken or open to others, the database or a file cannot be opened, traces are asked
            for and not there.
    """
    keep_little()
    allow_as_many_as_possible()
    logs.configure(settings)
    with tracing() as tracer:
        asyncio.run(_run(settings, tracer))
