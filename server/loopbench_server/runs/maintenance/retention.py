"""Deletes old runs and old weights."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from loopbench_server.blocking import run_blocking
from loopbench_server.config import Settings
from loopbench_server.runs.attempt import now
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.polling import RETENTION, repeat
from loopbench_server.store.store import Store

log = structlog.get_logger()

POLL_INTERVAL_SECONDS = 600.0


@dataclass(frozen=True)
class Retention:
    """How long ended runs and their weights are kept; None keeps them."""

    runs: timedelta | None = None
    weights: timedelta | None = None


def make_retention(settings: Settings) -> Retention:
    """Return the retention that the flags ``--keep-runs-days`` and ``--keep-weights-days`` set."""

    def period(days: float | None) -> timedelta | None:
        return None if days is None else timedelta(days=days)

    return Retention(runs=period(settings.keep_runs_days), weights=period(settings.keep_weights_days))


async def enforce_retention(store: Store, executor: RunExecutor, retention: Retention) -> None:
    """Delete old runs and weights. Never returns; errors of the database are retried at the next interval."""

    async def delete() -> None:
        while retention.weights and (count := await run_blocking(store.delete_old_weights, now() - retention.weights)):
            log.info("deleted old weights", count=count)
        while retention.runs and (run_ids := await run_blocking(store.delete_old_runs, now() - retention.runs)):
            for run_id in run_ids:
                await run_blocking(executor.remove_logs, run_id)
            log.info("deleted old runs", count=len(run_ids))

    if retention.runs or retention.weights:
        await repeat(RETENTION, POLL_INTERVAL_SECONDS, delete, executor.observer.work_failed)
