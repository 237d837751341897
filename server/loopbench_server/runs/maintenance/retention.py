"""Forgets old runs and old weights."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from loopbench_server.blocking import in_thread
from loopbench_server.config import Settings
from loopbench_server.runs.attempt import now
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.polling import RETENTION, repeat
from loopbench_server.store.store import Store

log = structlog.get_logger()

SECONDS_BETWEEN_LOOKS = 600.0


@dataclass(frozen=True)
class Retention:
    """How long runs that have ended are kept, and their weights; None is for ever."""

    runs: timedelta | None = None
    weights: timedelta | None = None


def retention_of(settings: Settings) -> Retention:
    """The retention that the flags ``--keep-runs-days`` and ``--keep-weights-days`` set."""

    def period(days: float | None) -> timedelta | None:
        return None if days is None else timedelta(days=days)

    return Retention(runs=period(settings.keep_runs_days), weights=period(settings.keep_weights_days))


async def keep_tidy(store: Store, executor: RunExecutor, retention: Retention) -> None:
    """For ever; a database that refuses is asked again the next time."""

    async def forget() -> None:
        while retention.weights and (count := await in_thread(store.forget_weights, now() - retention.weights)):
            log.info("forgot weights", count=count)
        while retention.runs and (run_ids := await in_thread(store.forget_runs, now() - retention.runs)):
            for run_id in run_ids:
                await in_thread(executor.remove_logs, run_id)
            log.info("forgot runs", count=len(run_ids))

    if retention.runs or retention.weights:
        await repeat(RETENTION, SECONDS_BETWEEN_LOOKS, forget, executor.observer.work_failed)
