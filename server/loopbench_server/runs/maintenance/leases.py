"""Renews the leases of this server's runs, and ends runs whose lease has expired."""

import asyncio
from datetime import timedelta

import structlog

from loopbench_server.blocking import run_blocking_reserved
from loopbench_server.errors import ServerLostError, StoreFailedError
from loopbench_server.runs.attempt import make_error, now
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.cancel_requests import CANCELLED
from loopbench_server.runs.maintenance.polling import EXPIRED, LEASES, repeat
from loopbench_server.store.store import Store

log = structlog.get_logger()

LOST = make_error(ServerLostError, "the server that worked on the run ended before the run did")
RENEWALS_A_LEASE = 5
# How soon a run ends after its lease has expired.
POLL_INTERVAL_SECONDS = 1.0
# A renewal that is due right after a pause, and one in reserve.
RENEWALS_TO_WAIT = 2


async def renew_leases(store: Store, executor: RunExecutor) -> None:
    """Renew leases several times per lease. Never returns; errors of the database are retried at the next renewal."""

    async def renew() -> None:
        try:
            await _renew(store, executor)
        except StoreFailedError as error:
            log.error("cannot renew leases", error=str(error))  # noqa: TRY400  the store has logged what happened

    await repeat(LEASES, _renewal_seconds(store), renew, executor.observer.work_failed)


def _renewal_seconds(store: Store) -> float:
    return store.lease.total_seconds() / RENEWALS_A_LEASE


async def _renew(store: Store, executor: RunExecutor) -> None:
    active = tuple(executor.active)
    for run_id in set(active) - set(await run_blocking_reserved(store.renew_leases, active)):
        # The run has ended here in the meantime, or other servers declared this one lost.
        executor.cancel(run_id, LOST)


async def reap_expired(store: Store, executor: RunExecutor) -> None:
    """End runs whose lease has expired. Never returns; errors of the database are retried at the next poll.

    After a pause of the machine or the database, or a step of the clock, leases of live servers may have expired. A
    server whose own poll is late therefore renews first, and gives others the time to do so.
    """
    polled = now()

    async def poll() -> None:
        nonlocal polled
        late = (now() - polled).total_seconds() - POLL_INTERVAL_SECONDS
        if late > _renewal_seconds(store):
            log.warning("late poll for expired leases: other servers may renew first", seconds=round(late, 1))
            await _renew(store, executor)
            pause = RENEWALS_TO_WAIT * _renewal_seconds(store)
            # A pause that takes longer than this makes the next poll late too.
            polled = now() + timedelta(seconds=pause)
            await asyncio.sleep(pause)
            return
        active = tuple(executor.active)
        abandoned = await run_blocking_reserved(store.reap_expired, LOST, CANCELLED, but_not=active)
        polled = now()
        executor.observer.runs_abandoned(len(abandoned))
        for run_id, request_id in abandoned:
            log.warning("run ended because its server vanished", run_id=run_id, request_id=request_id)

    await repeat(EXPIRED, POLL_INTERVAL_SECONDS, poll, executor.observer.work_failed)
