"""Cancels runs of this server on requests that other servers received."""

from loopbench_server.blocking import run_blocking_reserved
from loopbench_server.errors import RunCancelledError
from loopbench_server.runs.attempt import make_error
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.polling import CANCELLATIONS, repeat
from loopbench_server.store.store import Store

# A slot has to be free within a second of the request, and ending a process takes a third of a second.
POLL_INTERVAL_SECONDS = 0.25
CANCELLED = make_error(RunCancelledError, "cancelled on request")


async def poll_cancel_requests(store: Store, executor: RunExecutor) -> None:
    """Poll the store for cancellation requests. Never returns; errors of the database are retried at the next poll."""

    async def poll() -> None:
        if executor.active:
            for run_id in await run_blocking_reserved(store.list_cancel_requests):
                executor.cancel(run_id, CANCELLED)

    await repeat(CANCELLATIONS, POLL_INTERVAL_SECONDS, poll, executor.observer.work_failed)
