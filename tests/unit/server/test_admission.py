"""Limits of calls, on a real server in this process."""

# ruff: noqa: ARG002, N802 - methods have the names and the arguments of the service

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench.v1 import run_pb2
from loopbench_server.rpc import admission
from loopbench_server.rpc.health import Health
from loopbench_server.rpc.interceptors import make_interceptors
from loopbench_server.runs.caller_limiter import ReadLimit
from loopbench_server.security.reloading_files import ReloadingFiles
from loopbench_server.security.tokens import parse
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics

SERVICE = "/loopbench.v1.BenchmarkService"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
TOKENS = {"alice": (("authorization", "Bearer alice"),), "rita": (("authorization", "Bearer rita"),)}
EACH, WATCHERS, EXPECTED, OF_A_CALLER = 3, 8, 5, 4
Answer = health_pb2.HealthCheckResponse


class Handlers(pb_grpc.BenchmarkServiceServicer):
    """Train and ListRuns last until the test ends them."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.listing = self.training = 0

    async def Train(self, request: Any, context: Any) -> Any:
        self.training += 1
        await self.may_end.wait()
        return run_pb2.Run()

    async def ListRuns(self, request: Any, context: Any) -> Any:
        self.listing += 1
        try:
            await self.may_end.wait()
        finally:
            self.listing -= 1
        return pb.ListRunsResponse(next_page_token="t")  # noqa: S106  no secret

    async def GetServerInfo(self, request: Any, context: Any) -> Any:
        return pb.ServerInfo(ready=True)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "OPEN_CALLS_OF_A_CONNECTION", EACH)
    monkeypatch.setattr(admission, "OPEN_WATCHERS", WATCHERS)
    monkeypatch.setattr(admission, "OPEN_CALLS_WITHOUT_MESSAGE", EXPECTED)
    monkeypatch.setattr(admission, "CALLS_OF_A_CALLER", OF_A_CALLER)
    monkeypatch.setitem(admission.READS, f"{SERVICE}/ListRuns", ReadLimit(at_once=3, each=2, waiting=2))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()  # type: ignore[abstract]  # the other methods are not called


@pytest.fixture
async def address(tmp_path: Path, registry: CollectorRegistry, handlers: Handlers) -> AsyncIterator[str]:
    file = tmp_path / "tokens"
    file.write_text(
        "".join(f"{name} write {hashlib.sha256(name.encode()).hexdigest()}\n" for name in TOKENS),
    )
    health = Health()
    health.set("", Answer.SERVING)
    interceptors = make_interceptors(RpcMetrics(registry), NoOpTracer(), ReloadingFiles((file,), parse))
    server = grpc.aio.server(interceptors=interceptors)
    pb_grpc.add_BenchmarkServiceServicer_to_server(handlers, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    handlers.may_end.set()
    await server.stop(None)


@pytest.fixture
async def connect(address: str) -> AsyncIterator[Any]:
    """Makes channels, each with a separate connection."""
    made: list[grpc.aio.Channel] = []

    def one() -> Any:
        made.append(grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]))
        return made[-1]

    yield one
    for channel in made:
        await channel.close()


async def without_message() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def outcome(call: Any) -> str:
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "open"


async def code(call: Any) -> str:
    return str((await call.code()).name)


async def reason(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    return caught.value.code().name, info.reason


async def is_well(connect: Any) -> None:
    assert (await health_pb2_grpc.HealthStub(connect()).Check(health_pb2.HealthCheckRequest())).status == Answer.SERVING
    stub: Any = pb_grpc.BenchmarkServiceStub(connect())
    assert (await stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=TOKENS["alice"])).ready


async def test_watchers_are_limited_per_connection_and_in_total(connect: Any, registry: CollectorRegistry) -> None:
    calls = [channel.unary_stream(WATCH)(b"") for channel in (connect() for _ in range(5)) for _ in range(5)]
    with structlog.testing.capture_logs() as logs:
        found = Counter([await outcome(call) for call in calls])
        assert found == {"open": WATCHERS, "RESOURCE_EXHAUSTED": len(calls) - WATCHERS}
        await is_well(connect)
    # One log line for any number of refusals.
    (line,) = [line for line in logs if line["event"] == "calls refused"]
    assert (line["log_level"], line["reason"], line["caller"]) == ("warning", "TOO_MANY_CALLS", "127.0.0.1")
    counted = registry.get_sample_value("loopbench_rpc_errors_total", {"reason": "TOO_MANY_CALLS"})
    assert counted == len(calls) - WATCHERS
    # New watchers are accepted after others leave.
    for call in calls:
        call.cancel()
    watcher = connect().unary_stream(WATCH)(b"")
    while await outcome(watcher) != "open":
        watcher = connect().unary_stream(WATCH)(b"")


async def test_one_connection_has_few_open_calls(connect: Any) -> None:
    channel = connect()
    calls = [channel.unary_stream(WATCH)(b"") for _ in range(10)]
    assert Counter([await outcome(call) for call in calls]) == {"open": EACH, "RESOURCE_EXHAUSTED": 10 - EACH}
    assert await outcome(connect().unary_stream(WATCH)(b"")) == "open"


@pytest.mark.parametrize("method", [CHECK, WATCH])
async def test_calls_without_a_message_are_dropped_for_a_probe(connect: Any, method: str) -> None:
    held = [asyncio.create_task(code(connect().stream_stream(method)(without_message()))) for _ in range(3 * EXPECTED)]
    # Long before their timeout.
    ended: set[asyncio.Task[str]] = set()
    while len(ended) < 2 * EXPECTED:
        ended, _ = await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.01)
    assert len(ended) == 2 * EXPECTED
    for _ in range(3):
        await is_well(connect)
    assert {task.result() for task in ended} == {"DEADLINE_EXCEEDED"}
    for task in held:
        task.cancel()


@pytest.mark.parametrize("method", ["Train", "ListRuns", "GetServerInfo"])
async def test_a_late_message_ends_the_call(connect: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MESSAGE_SECONDS", 0.1)
    call = connect().stream_unary(f"{SERVICE}/{method}")(without_message(), metadata=TOKENS["alice"])
    assert await reason(call) == ("DEADLINE_EXCEEDED", "MESSAGE_TIMEOUT")


async def test_one_caller_cannot_exhaust_the_limit(connect: Any, handlers: Handlers, eventually: Any) -> None:
    stubs = [pb_grpc.BenchmarkServiceStub(connect()) for _ in range(3)]

    def train(place: int, caller: str) -> Any:
        return stubs[place % 3].Train(pb.TrainRequest(), metadata=TOKENS[caller])

    held = [train(place, "alice") for place in range(OF_A_CALLER)]
    await eventually(lambda: handlers.training == OF_A_CALLER)
    assert await reason(train(0, "alice")) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
    other = train(0, "rita")
    handlers.may_end.set()
    await asyncio.gather(other, *held)


async def test_a_refused_token_holds_no_slot(connect: Any) -> None:
    wrong = (("authorization", "Bearer wrong"),)
    channel = connect()
    calls = [channel.stream_unary(f"{SERVICE}/Train")(without_message(), metadata=wrong) for _ in range(50)]
    assert {await reason(call) for call in calls} == {("UNAUTHENTICATED", "UNAUTHENTICATED")}


async def test_only_the_busy_callers_reads_wait(connect: Any, handlers: Handlers, eventually: Any) -> None:
    stub: Any = pb_grpc.BenchmarkServiceStub(connect())

    def pages(caller: str, count: int) -> list[Any]:
        return [stub.ListRuns(pb.ListRunsRequest(), metadata=TOKENS[caller]) for _ in range(count)]

    alice = pages("alice", 4)
    await eventually(lambda: handlers.listing == 2)
    rita = pages("rita", 1)
    await eventually(lambda: handlers.listing == 3)
    handlers.may_end.set()
    answers = await asyncio.gather(*alice, *rita)
    assert {answer.next_page_token for answer in answers} == {"t"}
