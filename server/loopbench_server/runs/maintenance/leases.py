"""Keeps the leases of this server's runs, and ends the runs of servers that are gone."""

import asyncio
from datetime import timedelta

import structlog

from loopbench_server.blocking import run_blocking_reserved
from loopbench_server.errors import ServerLostError, StoreFailedError
from loopbench_server.runs.attempt import make_error, now
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.cancel_requests import CANCELLED
from loopbench_server.runs.maintenance.polling import ABANDONED, LEASES, repeat
from loopbench_server.store.store import Store

log = structlog.get_logger()

LOST = make_error(ServerLostError, "the server that worked on the run ended before the run did")
RENEWALS_A_LEASE = 5
# How soon after a lease has lapsed its run ends.
POLL_INTERVAL_SECONDS = 1.0
# A renewal that is due right after a pause, and one in reserve.
RENEWALS_TO_WAIT = 2


async def renew_leases(store: Store, executor: RunExecutor) -> None:
    """For ever, several times a lease; a database that refuses is asked again the next time."""

    async def renew() -> None:
        try:
            await _renew(store, executor)
        except StoreFailedError as error:
            log.error("leases not renewed", error=str(error))  # noqa: TRY400  the store has logged what happened

    await repeat(LEASES, _renewal_seconds(store), renew, executor.observer.work_failed)


def _renewal_seconds(store: Store) -> float:
    return store.lease.total_seconds() / RENEWALS_A_LEASE


async def _renew(store: Store, executor: RunExecutor) -> None:
    active = tuple(executor.active)
    for run_id in set(active) - set(await run_blocking_reserved(store.renew_leases, active)):
        # It has ended here meanwhile, or other servers took this one for dead.
        executor.cancel(run_id, LOST)


async def reap_expired(store: Store, executor: RunExecutor) -> None:
    """For ever; a database that refuses is asked again the next time.

    After a pause of the machine or the database, or a step of the clock, the leases of servers that are alive may have
    expired. A server that comes late to its own look therefore renews first, and gives others the time to do so.
    """
    looked = now()

    async def look() -> None:
        nonlocal looked
        late = (now() - looked).total_seconds() - POLL_INTERVAL_SECONDS
        if late > _renewal_seconds(store):
            log.warning("late to look for abandoned runs: other servers may renew first", seconds=round(late, 1))
            await _renew(store, executor)
            pause = RENEWALS_TO_WAIT * _renewal_seconds(store)
            # A pause that takes longer than this makes the next look late too.
            looked = now() + timedelta(seconds=pause)
            await asyncio.sleep(pause)
            return
        active = tuple(executor.active)
        abandoned = await run_blocking_reserved(store.reap_expired, LOST, CANCELLED, but_not=active)
        looked = now()
        executor.observer.runs_abandoned(len(abandoned))
        for run_id, request_id in abandoned:
            log.warning("run abandoned by its server", run_id=run_id, request_id=request_id)

    await repeat(ABANDONED, POLL_INTERVAL_SECONDS, look, executor.observer.work_failed)
