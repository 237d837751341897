"""State of a run that this server works on, for callers that wait for it or watch it."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime

from loopbench.spec import EpochRecord, Progress, Run, RunEvent, RunState
from loopbench_server.errors import LoopbenchServerError

# Other calls then wait behind a millisecond of work, and not behind all watchers of a run. The last of 500 watchers is
# woken half a second after the first.
WAKE_BATCH = 4
WAKE_INTERVAL_SECONDS = 0.004


class ChangeNotifier:
    """Wakes all waiting tasks after a change, a few at a time."""

    def __init__(self) -> None:
        self.version = 0
        # In order of arrival; removal takes constant time.
        self._waiting: dict[asyncio.Future[None], None] = {}

    async def wait_after(self, version: int) -> None:
        """Return when ``version`` is no longer the current version."""
        if self.version == version:
            future = asyncio.get_running_loop().create_future()
            self._waiting[future] = None
            try:
                await future
            finally:
                self._waiting.pop(future, None)

    def notify(self) -> None:
        """Increment the version and wake waiting tasks. Only for the event loop's thread."""
        self.version += 1
        waiting, self._waiting = self._waiting, {}
        self._wake([*waiting])

    def _wake(self, waiting: list[asyncio.Future[None]]) -> None:
        for future in waiting[:WAKE_BATCH]:
            if not future.done():  # the task may have been cancelled
                future.set_result(None)
        if len(waiting) > WAKE_BATCH:
            loop = asyncio.get_running_loop()
            loop.call_later(WAKE_INTERVAL_SECONDS, self._wake, waiting[WAKE_BATCH:])


class ActiveRun:
    """Current state of a run.

    Watchers read the state when they are ready: a slow watcher skips progress but no epoch, and holds no memory.
    """

    def __init__(self, run: Run, owner: str = "", queued_time: datetime | None = None) -> None:
        self.run = run
        # Time at which the current attempt was queued. A run that is restarted keeps the ``create_time`` of its first
        # attempt.
        self.queued_time = queued_time or run.create_time
        self.owner = owner
        self._began = time.monotonic()
        # A run continues while a caller waits for it, and to its end once a caller has asked for it without waiting.
        self.detached = False
        self.callers = 0
        self.queue_position: int | None = None
        self.progress: Progress | None = None
        self.epochs: list[EpochRecord] = []
        self._lost: LoopbenchServerError | None = None
        self._notifier = ChangeNotifier()

    @property
    def seconds(self) -> float:
        """Time since this run was queued here, by the monotonic clock."""
        return time.monotonic() - self._began

    def fail(self, error: LoopbenchServerError) -> None:
        """Raise ``error`` in every task that waits: nothing more will be known of the run."""
        self._lost = error
        self._notifier.notify()

    async def _changed(self, version: int) -> None:
        await self._notifier.wait_after(version)
        if self._lost:
            raise type(self._lost)(str(self._lost), **self._lost.metadata)

    def update(
        self,
        *,
        run: Run | None = None,
        progress: Progress | None = None,
        epoch: EpochRecord | None = None,
        queue_position: int | None = None,
    ) -> None:
        """Apply changes and wake all waiting tasks."""
        self.run = run or self.run
        self.progress = progress or self.progress
        self.queue_position = queue_position if self.run.state is RunState.QUEUED else None
        if epoch:
            self.epochs.append(epoch)
        self._notifier.notify()

    async def wait_ended(self) -> Run:
        """Return the run once it has ended.

        Raises:
            LoopbenchServerError: nothing more will be known of the run.
        """
        while not self.run.state.ended:
            await self._changed(self._notifier.version)
        return self.run

    def _event(self, epochs_seen: int, *, whole: bool) -> RunEvent:
        return RunEvent(
            state=self.run.state,
            queue_position=self.queue_position,
            progress=self.progress if self.run.state is RunState.RUNNING else None,
            epochs=tuple(self.epochs[epochs_seen:]),
            run=self.run if whole or self.run.state.ended else None,
        )

    async def watch(self) -> AsyncIterator[RunEvent]:
        """Yield the state with all epochs so far, then every change, until the run has ended.

        Raises:
            LoopbenchServerError: nothing more will be known of the run.
        """
        event = self._event(0, whole=True)
        seen = len(event.epochs)
        while True:
            version = self._notifier.version
            yield event
            if event.state.ended:
                return
            # The state may be unchanged since the event was made, or may have changed while the watcher was busy.
            await self._changed(version)
            event = self._event(seen, whole=False)
            seen += len(event.epochs)
