"""Limits concurrent reads, fairly among callers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from loopbench_server.errors import TooManyCallsError

# In order of arrival; removal takes constant time.
_Waiting = dict[asyncio.Future[None], None]

# Time for a caller to receive a response. A slower read then counts for its caller only, and frees its slot.
SEND_SECONDS = 5.0
# Limit of slow reads that free their slots: gRPC keeps each response in memory, up to 4 MB.
MAX_UNTAKEN = 32


@dataclass(frozen=True)
class ReadLimit:
    """At most ``at_once`` reads run, ``each`` of one caller; at most ``waiting`` reads of each caller wait."""

    at_once: int
    each: int
    waiting: int


class CallerLimiter:
    """Serves callers with waiting reads in rotation, so that one caller's reads do not delay all others.

    ``work`` is the plural noun for the reads in error messages.
    """

    def __init__(self, work: str, limit: ReadLimit) -> None:
        self._work = work
        self._limit = limit
        # Includes the untaken reads, whose callers do not receive the response.
        self._running: Counter[str] = Counter()
        self._untaken = 0
        # In the order of rotation.
        self._callers: dict[str, _Waiting] = {}

    @asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Hold a slot for a read of ``caller`` within the block. The read sends its response within :meth:`sending`.

        Raises:
            TooManyCallsError: no more reads of this caller may wait.
        """
        waiting = self._callers.get(caller, {})
        if len(waiting) >= self._limit.waiting:
            raise TooManyCallsError(
                f"too many {self._work}: this caller has {len(waiting)} waiting (limit {self._limit.waiting})"
            )
        ready = asyncio.get_running_loop().create_future()
        self._callers.setdefault(caller, {})[ready] = None
        self._start_next()
        try:
            await ready
        except asyncio.CancelledError:
            if ready.cancelled():
                self._remove(caller, ready)
            else:  # the slot was granted at the same moment
                self._end(caller)
            raise
        try:
            yield
        finally:
            self._end(caller)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send the response of a read within the block. After a time limit the read frees its slot for another."""
        untaken = False

        def free_slot() -> None:
            nonlocal untaken
            if self._untaken < MAX_UNTAKEN:
                untaken = True
                self._untaken += 1
                self._start_next()

        timer = asyncio.get_running_loop().call_later(SEND_SECONDS, free_slot)
        try:
            yield
        finally:
            timer.cancel()
            self._untaken -= untaken

    def _end(self, caller: str) -> None:
        self._running -= Counter({caller: 1})
        self._start_next()

    def _start_next(self) -> None:
        """Start the first read of the first caller below its limit, and move that caller to the end of the rotation."""
        if self._running.total() - self._untaken >= self._limit.at_once:
            return
        for caller, waiting in self._callers.items():
            # A done future was cancelled a moment ago and has not been removed yet.
            ready = next((ready for ready in waiting if not ready.done()), None)
            if ready and self._running[caller] < self._limit.each:
                self._start(caller, ready)
                return

    def _start(self, caller: str, ready: asyncio.Future[None]) -> None:
        self._remove(caller, ready)
        if caller in self._callers:
            self._callers[caller] = self._callers.pop(caller)
        self._running[caller] += 1
        ready.set_result(None)

    def _remove(self, caller: str, ready: asyncio.Future[None]) -> None:
        waiting = self._callers[caller]
        del waiting[ready]
        if not waiting:
            del self._callers[caller]
