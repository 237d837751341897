"""Ends runs of this server whose cancellation was asked of another."""

from loopbench_server.blocking import in_reserved_thread
from loopbench_server.errors import RunCancelledError
from loopbench_server.runs.attempt import error_of
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.polling import CANCELLATIONS, repeat
from loopbench_server.store.store import Store

# A slot has to be free within a second of the request, and ending a process takes a third of one.
SECONDS_BETWEEN_LOOKS = 0.25
CANCELLED = error_of(RunCancelledError, "cancelled on request")


async def heed_cancellations(store: Store, executor: RunExecutor) -> None:
    """For ever; a database that refuses is asked again the next time."""

    async def look() -> None:
        if executor.live:
            for run_id in await in_reserved_thread(store.cancel_requests):
                executor.call_off(run_id, CANCELLED)

    await repeat(CANCELLATIONS, SECONDS_BETWEEN_LOOKS, look, executor.observer.work_failed)
