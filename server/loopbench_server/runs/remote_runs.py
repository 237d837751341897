"""Runs of other servers, and runs that have ended: read from the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from loopbench_server.blocking import run_blocking
from loopbench_server.errors import RunNotFoundError, RunUnreadableError, ServerLostError, StoreFailedError
from loopbench_server.runs.active_run import ActiveRun
from loopbench_server.store.store import Store

log = structlog.get_logger()

POLL_INTERVAL_SECONDS = 0.5


class _Followed:
    """A run that callers of this server follow, and the task that polls it."""

    def __init__(self, active: ActiveRun, following: asyncio.Task[None]) -> None:
        self.active = active
        self.following = following
        self.followers = 0


class RemoteRuns:
    """Polls each followed run once, for all callers that follow it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._followed: dict[str, _Followed] = {}

    @asynccontextmanager
    async def follow(self, run_id: str) -> AsyncIterator[ActiveRun]:
        """Yield the run with its epochs, kept up to date within the block.

        Raises:
            RunNotFoundError: no run has this id.
        """
        if run_id not in self._followed:
            active = await self._read(run_id)
            if active.run.state.ended:
                yield active
                return
            # Another caller may have been faster.
            if run_id not in self._followed:
                self._followed[run_id] = _Followed(active, asyncio.create_task(self._poll(active)))
        followed = self._followed[run_id]
        followed.followers += 1
        try:
            yield followed.active
        finally:
            followed.followers -= 1
            if not followed.followers:
                followed.following.cancel()
                self._forget(followed)

    def _forget(self, followed: _Followed) -> None:
        run_id = followed.active.run.id
        if self._followed.get(run_id) is followed:
            del self._followed[run_id]

    async def _read(self, run_id: str) -> ActiveRun:
        active = ActiveRun(await run_blocking(self._store.get, run_id))
        active.epochs.extend(await run_blocking(self._store.get_epochs, run_id))
        return active

    async def _poll(self, active: ActiveRun) -> None:
        try:
            while not active.run.state.ended:
                await asyncio.sleep(POLL_INTERVAL_SECONDS)
                with suppress(StoreFailedError):  # the store has logged it and may recover
                    await self._refresh(active)
        except (RunNotFoundError, RunUnreadableError, ServerLostError) as error:
            active.fail(error)
        except Exception:
            log.exception("cannot read a run of another server", run_id=active.run.id)
            active.fail(StoreFailedError(f"run {active.run.id} cannot be read", run_id=active.run.id))
        # The next caller reads the run again: it may have been restarted.
        self._forget(self._followed[active.run.id])

    async def _refresh(self, active: ActiveRun) -> None:
        before, run = active.run, await run_blocking(self._store.get, active.run.id)
        if before.start_time is not None and before.start_time != run.start_time:
            raise ServerLostError(f"run {run.id} was lost and has been restarted", run_id=run.id)
        for record in await run_blocking(self._store.get_epochs, run.id, after=len(active.epochs)):
            active.update(epoch=record)
        if run != before:
            active.update(run=run)
