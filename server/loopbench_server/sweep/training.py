"""Trains one run with the parts of the server, on the shared store."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog
from opentelemetry.trace import Tracer

from loopbench.spec import Naming, Run, RunSpec
from loopbench_server.bootstrap import make_worker_config, serve_metrics
from loopbench_server.errors import DrainingError, LoopbenchServerError
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.cancel_requests import poll_cancel_requests
from loopbench_server.runs.maintenance.leases import reap_expired, renew_leases
from loopbench_server.runs.observers import Observers
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.slots import Slots
from loopbench_server.store.store import Store
from loopbench_server.sweep.settings import SweepSettings
from loopbench_server.telemetry.metrics import TrainingMetrics
from loopbench_server.telemetry.run_spans import RunSpans
from loopbench_server.workers.capabilities import describe
from loopbench_server.workers.pool import WorkerPool

log = structlog.get_logger()

CALLER = "sweep"
ONE_RUN = Limits(slots=1, queue_size=0, caller_runs=1)


class IndexTrainer:
    """Trains one run to its end, here or elsewhere. Metrics are served from the start.

    ``on_run`` receives the run before its end, as soon as its id is known.

    Raises:
        StartError: the port of the metrics is taken.
    """

    def __init__(
        self,
        settings: SweepSettings,
        store: Store,
        metrics: TrainingMetrics,
        tracer: Tracer,
        *,
        on_run: Callable[[Run], None],
    ) -> None:
        observers = Observers(metrics.runs, RunSpans(tracer))
        config = make_worker_config(settings)
        self._pool = pool = WorkerPool(config)
        self._drain_seconds = settings.drain_seconds
        self._store = store
        self._metrics = metrics
        self._on_run = on_run
        self._description = partial(describe, pool, config)
        self._describing: asyncio.Task[None] | None = None
        self._executor = RunExecutor(store, pool, Slots(ONE_RUN.slots), config, observers)
        self._scheduler = Scheduler(store, self._executor, ONE_RUN)
        log.info("training", metrics_address=serve_metrics(settings.metrics_address, metrics.registry))

    async def run(self, spec: RunSpec, request_id: str, naming: Naming, stop: asyncio.Event) -> Run:
        """Return the run of ``request_id`` once it has succeeded: now, before, or in another process.

        A new run gets ``naming``.

        Raises:
            DrainingError: ``stop`` was set before the end; a run of this process is stored as retryable.
            LoopbenchServerError: the run or the store failed.
        """
        training = asyncio.create_task(self._train_until_done(spec, request_id, naming))
        stopping = asyncio.create_task(stop.wait())
        works = (renew_leases, reap_expired, poll_cancel_requests)
        background = [asyncio.create_task(work(self._store, self._executor)) for work in works]
        try:
            done, _ = await asyncio.wait((training, stopping, *background), return_when=asyncio.FIRST_COMPLETED)
            if training not in done:
                await self._drain(training)
            for failed in done.intersection(background):
                failed.result()
            return await training
        finally:
            tasks = [task for task in (training, stopping, *background, self._describing) if task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._pool.close()

    async def _drain(self, training: asyncio.Task[Run]) -> None:
        log.info("draining", seconds=self._drain_seconds, running=self._scheduler.running)
        await self._scheduler.drain(self._drain_seconds)
        # A run of this process has its end by now, and the task with it. There is no time left to wait for a run of
        # another process.
        training.cancel()

    async def _describe(self) -> None:
        """Describe the machine beside the run, which does not wait for it."""
        self._metrics.set_description(await self._description())

    async def _train_until_done(self, spec: RunSpec, request_id: str, naming: Naming) -> Run:
        try:
            while True:
                run = await self._scheduler.submit(spec, request_id, CALLER, naming)
                if not run.state.ended:
                    self._on_run(run)
                here = run.id in self._executor.active
                if here and not self._describing:
                    self._describing = asyncio.create_task(self._describe())
                elif not (here or run.state.ended):
                    log.info("another process works on the run")
                try:
                    return await self._scheduler.wait(run.id)
                except LoopbenchServerError as error:
                    # This process can take over a run that another process left.
                    if here or not error.retryable:
                        raise
        except asyncio.CancelledError:
            raise DrainingError("stopped while another process works on the run") from None
