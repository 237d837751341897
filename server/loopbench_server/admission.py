"""How many calls a port holds at once: of callers without a token, of one caller, and of each kind of read.

Calls that need no token have bounds of their own, so that they take no room of callers with a token; gRPC's own bound
would count both alike. A call whose token is refused counts nowhere: it ends before anything is read of it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from loopbench_server.access.guard import BENCHMARK, HEALTH, NEEDED
from loopbench_server.access.tokens import Role
from loopbench_server.errors import MessageTimeoutError, TooManyCallsError
from loopbench_server.runs.caller_turns import CallerTurns, ReadLimit

T = TypeVar("T")
# Makes the block in which a call sends its answer.
Sending = Callable[[], AbstractContextManager[None]]

# Time for the first message of a call to come, as a whole.
MESSAGE_SECONDS = 10.0
# Calls at once: each waits or watches at a price of some ten kilobytes. One caller leaves room for others.
CALLS, CALLS_OF_A_CALLER = 4_000, 2_000
# Calls that need no token, on one connection.
OPEN_CALLS_OF_A_CONNECTION = 16
# Calls that need no token and have sent no message yet. The one that has waited longest gives way to a new one: a probe
# sends its message at once.
OPEN_CALLS_WITHOUT_MESSAGE = 128
# Calls that need no token and stay open once they have sent their message.
OPEN_WATCHERS = 128
WATCH = f"/{HEALTH}/Watch"
# Reads that take processor time, or memory until the caller has taken the answer. A page has up to four megabytes.
READS = {
    f"/{BENCHMARK}/ListRuns": ReadLimit(at_once=16, each=2, waiting=1_000),
    f"/{BENCHMARK}/Compare": ReadLimit(at_once=1, each=1, waiting=100),
    f"/{BENCHMARK}/GetRun": ReadLimit(at_once=32, each=8, waiting=2_000),
}


@dataclass(frozen=True)
class Call:
    """A call by its method, its caller's name and its connection, which is empty where it cannot be recognised."""

    path: str
    caller: str
    connection: str

    @property
    def open(self) -> bool:
        """Whether the call needs no token."""
        return NEEDED.get(self.path) is Role.OPEN


class _Held:
    """Calls that are held: at most ``total``, and at most ``each`` of one caller or connection, as ``of`` says."""

    def __init__(self, what: str, of: str, *, each: int, total: int | None = None) -> None:
        self._what = what
        self._of = of
        self._each = each
        self._limit = total
        self._total = 0
        self._keys: Counter[str] = Counter()

    @contextmanager
    def one(self, key: str) -> Iterator[None]:
        """A call of ``key`` is held for as long as the block lasts; without a key it counts in the total alone.

        Raises:
            TooManyCallsError: a limit is reached.
        """
        if self._total == self._limit:
            raise TooManyCallsError(f"too many {self._what}: {self._total} are open (limit {self._limit})")
        if key and self._keys[key] >= self._each:
            raise TooManyCallsError(
                f"too many {self._what}: this {self._of} has {self._keys[key]} open (limit {self._each})"
            )
        self._total += 1
        self._keys[key] += 1
        try:
            yield
        finally:
            self._total -= 1
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]


class Admission:
    """The bounds of one port."""

    def __init__(self) -> None:
        self._calls = _Held("calls", "caller", each=CALLS_OF_A_CALLER, total=CALLS)
        self._open_calls = _Held("calls without a token", "connection", each=OPEN_CALLS_OF_A_CONNECTION)
        self._open_watchers = _Held(
            "watchers without a token", "connection", each=OPEN_CALLS_OF_A_CONNECTION, total=OPEN_WATCHERS
        )
        # In the order they came.
        self._open_without_message: dict[asyncio.Timeout, None] = {}
        self._reads = {path: CallerTurns(f"{path.rpartition('/')[2]} calls", limit) for path, limit in READS.items()}

    def held(self, call: Call) -> AbstractContextManager[None]:
        """For a block that lasts as long as the call.

        Raises:
            TooManyCallsError: the server holds as many as it may.
        """
        return self._open_calls.one(call.connection) if call.open else self._calls.one(call.caller)

    async def first_message(self, call: Call, message: Awaitable[T]) -> T:
        """The first message of a call.

        Raises:
            MessageTimeoutError: it did not come in time, or other calls needed its place.
        """
        try:
            async with asyncio.timeout(MESSAGE_SECONDS) as deadline:
                with self._waiting(deadline) if call.open else nullcontext():
                    return await message
        except TimeoutError as error:
            raise MessageTimeoutError(
                f"the call's first message did not come in time (limit {MESSAGE_SECONDS:g} s)"
            ) from error

    @contextmanager
    def _waiting(self, deadline: asyncio.Timeout) -> Iterator[None]:
        self._open_without_message[deadline] = None
        if len(self._open_without_message) > OPEN_CALLS_WITHOUT_MESSAGE:
            oldest = next(iter(self._open_without_message))
            del self._open_without_message[oldest]
            if not oldest.expired():
                oldest.reschedule(asyncio.get_running_loop().time())
        try:
            yield
        finally:
            self._open_without_message.pop(deadline, None)

    @asynccontextmanager
    async def answering(self, call: Call) -> AsyncIterator[Sending]:
        """For a block that works on a call whose message is there, and sends the answer within a second block.

        Raises:
            TooManyCallsError: as many calls of this kind are held or wait as may.
        """
        if turns := self._reads.get(call.path):
            async with turns.turn(call.caller):
                yield turns.sending
        elif call.path == WATCH:
            with self._open_watchers.one(call.connection):
                yield nullcontext
        else:
            yield nullcontext
