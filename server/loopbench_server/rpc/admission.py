"""Limits how many calls a port holds: of callers without a token, of one caller, and of each kind of read.

Calls that need no token have their own limits, so that they cannot displace callers with a token; gRPC's own limit
would count both alike. A refused token counts nowhere: its call ends before anything is read.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from loopbench_server.errors import MessageTimeoutError, TooManyCallsError
from loopbench_server.rpc.methods import BENCHMARK, HEALTH, METHOD_ROLES
from loopbench_server.runs.caller_limiter import CallerLimiter, ReadLimit
from loopbench_server.security.tokens import Role

T = TypeVar("T")
# Makes the block in which a call sends its response.
SendBlock = Callable[[], AbstractContextManager[None]]

# Time for the first message of a call to arrive completely.
MESSAGE_SECONDS = 10.0
# Concurrent calls; one that waits or watches takes about 10 kB. One caller leaves room for others.
CALLS, CALLS_OF_A_CALLER = 4_000, 2_000
# Limit of calls without a token on one connection.
OPEN_CALLS_OF_A_CONNECTION = 16
# Limit of calls without a token that have sent no message. A new call displaces the oldest: a probe sends its message
# at once.
OPEN_CALLS_WITHOUT_MESSAGE = 128
# Limit of watchers without a token.
OPEN_WATCHERS = 128
WATCH = f"/{HEALTH}/Watch"
# Reads that take processor time, or memory until the caller has received the response. A page has up to 4 MB.
READS = {
    f"/{BENCHMARK}/ListRuns": ReadLimit(at_once=16, each=2, waiting=1_000),
    f"/{BENCHMARK}/Compare": ReadLimit(at_once=1, each=1, waiting=100),
    f"/{BENCHMARK}/GetRun": ReadLimit(at_once=32, each=8, waiting=2_000),
}


@dataclass(frozen=True)
class Call:
    """A call with its path, the name of its caller, and its connection, which is empty on a Unix socket."""

    path: str
    caller: str
    connection: str

    @property
    def is_open(self) -> bool:
        """Whether the call needs no token."""
        return METHOD_ROLES.get(self.path) is Role.OPEN


class _CallLimiter:
    """Limits open calls: ``total`` in all, and ``each`` per key, which is a caller or a connection as ``of`` says."""

    def __init__(self, what: str, of: str, *, each: int, total: int | None = None) -> None:
        self._what = what
        self._of = of
        self._each = each
        self._limit = total
        self._total = 0
        self._keys: Counter[str] = Counter()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Count a call of ``key`` within the block; without a key it counts in the total only.

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
    """Limits of one port."""

    def __init__(self) -> None:
        self._calls = _CallLimiter("calls", "caller", each=CALLS_OF_A_CALLER, total=CALLS)
        self._open_calls = _CallLimiter("calls without a token", "connection", each=OPEN_CALLS_OF_A_CONNECTION)
        self._open_watchers = _CallLimiter(
            "watchers without a token", "connection", each=OPEN_CALLS_OF_A_CONNECTION, total=OPEN_WATCHERS
        )
        # In order of arrival.
        self._open_without_message: dict[asyncio.Timeout, None] = {}
        self._reads = {path: CallerLimiter(f"{path.rpartition('/')[2]} calls", limit) for path, limit in READS.items()}

    def hold(self, call: Call) -> AbstractContextManager[None]:
        """Count a call within the block.

        Raises:
            TooManyCallsError: a limit is reached.
        """
        return self._open_calls.hold(call.connection) if call.is_open else self._calls.hold(call.caller)

    async def read_first_message(self, call: Call, message: Awaitable[T]) -> T:
        """Return the first message of a call.

        Raises:
            MessageTimeoutError: the message did not arrive in time, or newer calls displaced this one.
        """
        try:
            async with asyncio.timeout(MESSAGE_SECONDS) as deadline:
                with self._wait_for_message(deadline) if call.is_open else nullcontext():
                    return await message
        except TimeoutError as error:
            raise MessageTimeoutError(
                f"the call's first message did not arrive in time (limit {MESSAGE_SECONDS:g} s)"
            ) from error

    @contextmanager
    def _wait_for_message(self, deadline: asyncio.Timeout) -> Iterator[None]:
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
    async def responding(self, call: Call) -> AsyncIterator[SendBlock]:
        """Count a call within a block that processes its request. Yield what makes the block that sends the response.

        Raises:
            TooManyCallsError: a limit of calls of this kind is reached.
        """
        if limiter := self._reads.get(call.path):
            async with limiter.slot(call.caller):
                yield limiter.sending
        elif call.path == WATCH:
            with self._open_watchers.hold(call.connection):
                yield nullcontext
        else:
            yield nullcontext
