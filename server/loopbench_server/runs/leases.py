"""Keeps the leases of this server's runs, and ends the runs of servers that are gone."""

import asyncio

import structlog

from loopbench_server.errors import ServerLostError, StoreFailedError
from loopbench_server.runs.attempt import error_of
from loopbench_server.runs.cancellations import CANCELLED
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.store import Store
from loopbench_server.runs.threads import in_thread

log = structlog.get_logger()

LOST = error_of(ServerLostError, "the server that worked on the run ended before the run did")
RENEWALS_A_LEASE = 5
# How soon after a lease has lapsed its run ends.
SECONDS_BETWEEN_LOOKS = 1.0


async def keep_leases(store: Store, executor: RunExecutor) -> None:
    """For ever, several times a lease; a database that refuses is asked again the next time."""
    while True:
        try:
            live = tuple(executor.live)
            for run_id in set(live) - set(await in_thread(store.renew_leases, live)):
                # It has ended here meanwhile, or other servers took this one for dead.
                executor.call_off(run_id, LOST)
        except StoreFailedError as error:
            log.error("leases not renewed", error=str(error))  # noqa: TRY400  the store has logged what happened
        await asyncio.sleep(store.lease.total_seconds() / RENEWALS_A_LEASE)


async def end_abandoned(store: Store, executor: RunExecutor) -> None:
    """For ever; a database that refuses is asked again the next time."""
    while True:
        try:
            # After a pause of the database or the machine, the leases of this server may have lapsed too.
            live = tuple(executor.live)
            abandoned = await in_thread(store.end_abandoned, LOST, CANCELLED, but_not=live)
            executor.observer.runs_abandoned(len(abandoned))
            for run_id, request_id in abandoned:
                log.warning("run abandoned by its server", run_id=run_id, request_id=request_id)
        except StoreFailedError:
            pass  # the store has logged what happened
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
