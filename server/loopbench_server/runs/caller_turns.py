"""Reads that take turns, caller by caller."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from loopbench_server.errors import TooManyCallsError

# In the order they came, and each quick to remove.
_Waiting = dict[asyncio.Future[None], None]

# Time for a caller to take an answer. Afterwards the answer takes a turn of its caller, and none of all others.
SENDING_SECONDS = 5.0
# Answers that callers do not take, and that still leave all turns to others. Each may have four megabytes.
MOST_UNTAKEN = 32


@dataclass(frozen=True)
class ReadLimit:
    """At most ``at_once`` reads go on, ``each`` of one caller; of each caller at most ``waiting`` wait."""

    at_once: int
    each: int
    waiting: int


class CallerTurns:
    """Callers with waiting reads take turns, so that the reads of one caller do not delay those of all others.

    ``work`` is the plural of what the reads are.
    """

    def __init__(self, work: str, limit: ReadLimit) -> None:
        self._work = work
        self._limit = limit
        # With reads whose callers do not take the answer.
        self._running: Counter[str] = Counter()
        self._untaken = 0
        # In the order of their turns.
        self._callers: dict[str, _Waiting] = {}

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """A read of ``caller`` goes on for as long as the block lasts. It sends its answer within :meth:`sending`.

        Raises:
            TooManyCallsError: no more reads of this caller may wait.
        """
        waiting = self._callers.get(caller, {})
        if len(waiting) >= self._limit.waiting:
            raise TooManyCallsError(
                f"too many {self._work}: {len(waiting)} of this caller wait (limit {self._limit.waiting})"
            )
        ready = asyncio.get_running_loop().create_future()
        self._callers.setdefault(caller, {})[ready] = None
        self._start_next()
        try:
            await ready
        except asyncio.CancelledError:
            if ready.cancelled():
                self._remove(caller, ready)
            else:  # its turn came at the same moment
                self._end(caller)
            raise
        try:
            yield
        finally:
            self._end(caller)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """A read sends its answer for as long as the block lasts, and makes room for another where that takes long."""
        untaken = False

        def make_room() -> None:
            nonlocal untaken
            if self._untaken < MOST_UNTAKEN:
                untaken = True
                self._untaken += 1
                self._start_next()

        timer = asyncio.get_running_loop().call_later(SENDING_SECONDS, make_room)
        try:
            yield
        finally:
            timer.cancel()
            self._untaken -= untaken

    def _end(self, caller: str) -> None:
        self._running -= Counter({caller: 1})
        self._start_next()

    def _start_next(self) -> None:
        """Starts the first read of the first caller that may have another; that caller then comes after all others."""
        if self._running.total() - self._untaken >= self._limit.at_once:
            return
        for caller, waiting in self._callers.items():
            # One that is done was cancelled a moment ago, and has not removed itself yet.
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
