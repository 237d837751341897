"""Finds runs that have ended in the store. This server, another one, or a pod of a sweep trained them."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple

import sqlalchemy as sa

from loopbench.spec import Run
from loopbench_server.blocking import run_blocking
from loopbench_server.runs.maintenance.polling import RESULTS, ignore_failure, repeat
from loopbench_server.store.schema import read_runs, runs
from loopbench_server.store.store import Store

POLL_INTERVAL_SECONDS = 2.0
# Limit of runs of one poll, which at the start also limits how far back the first poll reaches.
MOST = 1_000
# Runs that are read at once; a run may hold a thousand epochs.
RUNS_AT_ONCE = 16
# How far a poll reaches back before the last one: an end may be written as late as a lease after its time, and the
# clocks of servers differ by a fraction of a lease.
OVERLAP_IN_LEASES = 2


class ResultObserver:
    """Receives every run that has ended, on the event loop."""

    def run_found(self, run: Run) -> None:
        """``run`` has ended and is in the store. Runs of one poll come in the order in which they ended."""


class _End(NamedTuple):
    """End of a run; a run that is restarted ends again."""

    run_id: str
    time: datetime


async def follow_results(
    store: Store, observer: ResultObserver, failed: Callable[[str], None] = ignore_failure
) -> None:
    """Report the last runs that ended, then each that ends. Never returns; errors of the database are retried.

    ``failed`` counts unexpected errors, as :func:`~loopbench_server.runs.maintenance.polling.repeat` says.
    """
    reported: set[_End] = set()
    since = datetime.fromtimestamp(0, UTC)

    async def poll() -> None:
        nonlocal since
        began = datetime.now(UTC)
        found = await run_blocking(_ends, store, since)
        for ends in _in_parts([end for end in found if end not in reported]):
            for run in await run_blocking(_runs, store, ends):
                assert run.end_time is not None
                # Before the report, so that a run whose report fails does not block the others in later polls.
                reported.add(_End(run.id, run.end_time))
                observer.run_found(run)
            reported.update(ends)
        # As many as a poll finds, also if the clock was set back and it finds old ends again.
        reported.intersection_update(heapq.nlargest(MOST, reported, key=attrgetter("time")))
        since = began - OVERLAP_IN_LEASES * store.lease

    await repeat(RESULTS, POLL_INTERVAL_SECONDS, poll, failed)


def _in_parts(ends: Sequence[_End]) -> Iterator[Sequence[_End]]:
    return (ends[start : start + RUNS_AT_ONCE] for start in range(0, len(ends), RUNS_AT_ONCE))


def _ends(store: Store, since: datetime) -> list[_End]:
    """Return ends in their order, by the index on that column."""
    newest = sa.select(runs.c.id, runs.c.end_time).where(runs.c.end_time >= since)
    with store.transaction() as connection:
        rows = connection.execute(newest.order_by(runs.c.end_time.desc()).limit(MOST)).all()
    return [_End(*row) for row in reversed(rows)]


def _runs(store: Store, ends: Sequence[_End]) -> list[Run]:
    """Return the runs that have not been deleted or restarted and can be read."""
    wanted = runs.c.id.in_([end.run_id for end in ends]) & runs.c.end_time.is_not(None)
    with store.transaction() as connection:
        return [*read_runs(connection.execute(sa.select(runs).where(wanted).order_by(runs.c.end_time)))]
