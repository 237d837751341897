"""Work of which only so much goes on at once, and only so much waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loopbench_server.errors import QueueFullError


class ConcurrencyLimiter:
    """``slots`` at once, and ``queue_size`` that wait, in the order they came; ``work`` is the plural of what it is.

    ``running`` and ``waiting`` are how many there are now.
    """

    def __init__(self, work: str, slots: int, queue_size: int) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(slots)
        self._queue_size = queue_size
        self.running = self.waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Within the block it is the caller's turn.

        Raises:
            QueueFullError: no more may wait.
        """
        if self._slots.locked() and self.waiting >= self._queue_size:
            raise QueueFullError(f"{self.waiting} {self._work} wait, and no more may")
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
