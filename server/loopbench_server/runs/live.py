"""A run that this server works on, and those who wait for it or watch it."""

import asyncio
from collections.abc import AsyncIterator

from loopbench.spec import EpochRecord, Progress, Run, RunEvent, RunState


class LiveRun:
    """The present state of a run under way.

    Watchers read the state when they are ready to: a slow one skips progress but no epoch, and holds no memory.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        # A run goes on as long as a caller waits for it, and to its end once somebody has asked for it without waiting.
        self.detached = False
        self.callers = 0
        self.queue_position: int | None = None
        self.progress: Progress | None = None
        self.epochs: list[EpochRecord] = []
        self._changed = asyncio.Event()

    def change(
        self,
        *,
        run: Run | None = None,
        progress: Progress | None = None,
        epoch: EpochRecord | None = None,
        queue_position: int | None = None,
    ) -> None:
        """Takes in what is new, and wakes everybody who waits."""
        self.run = run or self.run
        self.progress = progress or self.progress
        self.queue_position = queue_position if self.run.state is RunState.QUEUED else None
        if epoch:
            self.epochs.append(epoch)
        self._changed.set()
        self._changed = asyncio.Event()

    async def ended(self) -> Run:
        """The run, once it has ended."""
        while not self.run.state.ended:
            await self._changed.wait()
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
        """The state and all epochs so far, then what changes, until the run has ended."""
        event = self._event(0, whole=True)
        seen = len(event.epochs)
        while True:
            changed = self._changed
            yield event
            if event.state.ended:
                return
            # Nothing may have changed since the event was made, or much while the watcher took it in.
            await changed.wait()
            event = self._event(seen, whole=False)
            seen += len(event.epochs)
