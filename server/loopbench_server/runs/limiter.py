"""Limits how many tasks run and wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loopbench_server.errors import QueueFullError


class ConcurrencyLimiter:
    """Lets ``slots`` tasks run and ``queue_size`` tasks wait, in order of arrival.

    ``work`` is the plural noun for the tasks in error messages. ``running`` and ``waiting`` are the current counts.
    """

    def __init__(self, work: str, slots: int, queue_size: int) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(slots)
        self._queue_size = queue_size
        self.running = self.waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot within the block.

        Raises:
            QueueFullError: no more tasks may wait.
        """
        if self._slots.locked() and self.waiting >= self._queue_size:
            raise QueueFullError(f"queue is full: {self.waiting} {self._work} wait (limit {self._queue_size})")
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()
