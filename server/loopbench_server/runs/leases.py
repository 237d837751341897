"""Keeps the leases of this server's runs, and ends the runs of servers that are gone."""

import asyncio

import structlog

from loopbench_server.errors import LoopbenchServerError, ServerLostError
from loopbench_server.runs.attempt import error_of
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.naming import logging_of
from loopbench_server.runs.store import LEASE, Store
from loopbench_server.runs.threads import in_thread

log = structlog.get_logger()

LOST = error_of(ServerLostError, "the server that worked on the run ended before the run did")


async def keep_leases(store: Store, executor: RunExecutor) -> None:
    """For ever, several times a lease; a database that refuses is asked again the next time."""
    while True:
        try:
            await in_thread(store.renew_leases, tuple(executor.live))
            for run in await in_thread(store.fail_abandoned, LOST):
                with logging_of(run):
                    log.warning("run abandoned by its server")
        except LoopbenchServerError as error:
            log.error("leases not renewed", error=str(error))  # noqa: TRY400  the store has logged what happened
        await asyncio.sleep(LEASE.total_seconds() / 3)
