"""Callers without a token and calls without a message block no other caller."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from loopbench.spec import Dataset, RunSpec, RunState
from loopbench_client import Client
from loopbench_server.rpc.admission import (
    MESSAGE_SECONDS,
    OPEN_CALLS_OF_A_CONNECTION,
    OPEN_CALLS_WITHOUT_MESSAGE,
    OPEN_WATCHERS,
)
from tests.chaos.floods import (
    ALICE,
    CHECK,
    SERVICE,
    WATCH,
    channels,
    check,
    tokens,
    without_message,
)
from tests.chaos.server_under_test import ServerUnderTest
from tests.support.postgresql import free_port

pytestmark = pytest.mark.slow

WATCHERS = 4_000
TIMEOUT_SECONDS = 60.0
SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)
REQUEST = health_pb2.HealthCheckRequest().SerializeToString()


@dataclass
class Ports:
    server: ServerUnderTest
    health: str


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("flooded")
    health = f"127.0.0.1:{free_port()}"
    flags = ("--tokens-file", tokens(folder), "--health-address", health)
    server = ServerUnderTest(folder, f"sqlite:///{folder / 'runs.db'}", *flags)
    server.start()
    try:
        with Client(server.address, token="alice") as client:  # noqa: S106  a token of this test
            client.wait_ready(TIMEOUT_SECONDS * 2)
        yield Ports(server, health)
    finally:
        server.stop()


async def outcome(call: Any) -> str:
    """The status of an ended call, or "open" for a watcher that receives events."""
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    except asyncio.CancelledError:  # gRPC drops some of hundreds of simultaneous calls before the server sees them
        return "CANCELLED"
    return "open"


@asynccontextmanager
async def watched(address: str, calls: int, each: int) -> AsyncIterator[Counter[str]]:
    """Counts of the outcomes of watchers that stay open without a token."""
    async with channels(address, calls, each) as to:
        watching = [channel.unary_stream(WATCH)(REQUEST) for channel in to]
        yield Counter(await asyncio.gather(*map(outcome, watching)))
        for call in watching:
            call.cancel()


def is_responsive(ports: Ports) -> None:
    """Checks that both ports answer probes and that a caller with a token can train."""
    for address in (ports.server.address, ports.health):
        asyncio.run(check(address))
    with Client(ports.server.address, token="alice") as client:  # noqa: S106  a token of this test
        assert client.get_server_info().ready
        assert client.train(SHORT).state is RunState.SUCCEEDED


def refusals(ports: Ports) -> list[str]:
    return [line for line in ports.server.log.splitlines() if '"event": "calls refused"' in line]


@pytest.mark.parametrize("port", ["main", "health"])
@pytest.mark.parametrize(("calls", "each"), [(WATCHERS, 800), (100, 100), (1_000, 10)], ids=str)
def test_watchers_without_a_token_exhaust_only_their_own_limit(ports: Ports, port: str, calls: int, each: int) -> None:
    address = ports.server.address if port == "main" else ports.health

    async def flood() -> Counter[str]:
        async with watched(address, calls, each) as found:
            await asyncio.to_thread(is_responsive, ports)
        return found

    found = asyncio.run(flood())
    connections = -(-calls // each)
    room = min(OPEN_WATCHERS, connections * min(each, OPEN_CALLS_OF_A_CONNECTION))
    assert found["open"] == room
    assert found["RESOURCE_EXHAUSTED"]
    assert set(found) <= {"open", "RESOURCE_EXHAUSTED", "CANCELLED", "UNAVAILABLE"}
    lines = refusals(ports)
    assert lines
    assert '"level": "warning"' in lines[-1]
    assert '"reason": "TOO_MANY_CALLS"' in lines[-1]
    assert len(lines) < WATCHERS // 10, "the log is not flooded"


@pytest.mark.parametrize("port", ["main", "health"])
def test_probes_are_answered_beside_calls_without_a_message(ports: Ports, port: str) -> None:
    """There are more calls than the limit, so the server drops the oldest; all time out."""
    address = ports.server.address if port == "main" else ports.health
    calls = 2 * OPEN_CALLS_WITHOUT_MESSAGE

    async def flood() -> Counter[str]:
        async with channels(address, calls, OPEN_CALLS_OF_A_CONNECTION // 2) as to:
            held = [channel.stream_unary(CHECK)(without_message()) for channel in to]
            await asyncio.sleep(1)
            await asyncio.to_thread(is_responsive, ports)
            async with asyncio.timeout(MESSAGE_SECONDS + TIMEOUT_SECONDS):
                return Counter([(await call.code()).name for call in held])

    assert asyncio.run(flood()) == {"DEADLINE_EXCEEDED": calls}


def test_a_call_without_a_message_times_out(ports: Ports) -> None:
    async def flood() -> Counter[str]:
        async with AsyncExitStack() as stack:
            to = await stack.enter_async_context(channels(ports.server.address, 900))
            held = [channel.stream_unary(f"{SERVICE}/Train")(without_message(), metadata=ALICE) for channel in to]
            async with asyncio.timeout(MESSAGE_SECONDS + TIMEOUT_SECONDS):
                return Counter([(await call.code()).name for call in held])

    assert asyncio.run(flood()) == {"DEADLINE_EXCEEDED": 900}
    assert any('"reason": "MESSAGE_TIMEOUT"' in line for line in refusals(ports))
    is_responsive(ports)
