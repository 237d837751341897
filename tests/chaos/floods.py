"""Floods of calls, and the service that other callers get meanwhile."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench import spec
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from tests.support.factories import make_epoch, make_result, make_run

CALLS_OF_A_CONNECTION = 900
ALICE, RITA = (("authorization", "Bearer alice"),), (("authorization", "Bearer rita"),)
SERVICE = "/loopbench.v1.BenchmarkService"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
PAGE = pb.ListRunsRequest(page_size=1_000).SerializeToString()
SECONDS_FOR_A_PROBE = 20.0
START = datetime(2026, 1, 2, tzinfo=UTC)


def tokens(folder: Path) -> str:
    """The tokens file: alice may write, rita may read; each token is the name."""
    file = folder / "tokens"
    lines = [f"{name} {role} {hashlib.sha256(name.encode()).hexdigest()}\n" for name, role in ROLES.items()]
    file.write_text("".join(lines))
    return str(file)


ROLES = {"alice": "write", "rita": "read"}


def _ended(number: int) -> spec.Run:
    time_of_all = START + timedelta(seconds=number)
    reported = spec.ReportedMetrics(loss=0.5 + number, accuracy=0.875)
    history = tuple(make_epoch(epoch, train=reported, validation=reported) for epoch in (1, 2, 3))
    return make_run(
        number,
        spec=spec.RunSpec(dataset=spec.Dataset.DIGITS, epochs=3, seed=number),
        state=spec.RunState.SUCCEEDED,
        create_time=time_of_all,
        start_time=time_of_all,
        end_time=time_of_all,
        result=make_result(history=history, updates=135),
    )


def fill(url: str, count: int) -> None:
    """Store ``count`` succeeded runs."""
    store = Store(open_database(url), "filler", timedelta(seconds=30))
    for number in range(count):
        store.add(_ended(number))
    store.close()


@asynccontextmanager
async def channels(address: str, calls: int, each: int = CALLS_OF_A_CONNECTION) -> AsyncIterator[list[Any]]:
    """One channel per call, on as many connections as needed."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options))
            for _ in range(-(-calls // each))
        ]
        yield [made[place // each] for place in range(calls)]


async def without_message() -> AsyncIterator[bytes]:
    """The request stream of a call whose message never arrives."""
    await asyncio.Event().wait()
    yield b""


async def check(address: str, seconds: float = SECONDS_FOR_A_PROBE) -> float:
    """Probe health on a new connection like the kubelet, and return the seconds."""
    start = time.monotonic()
    async with channels(address, 1) as (channel,):
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=seconds)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    return time.monotonic() - start


@dataclass
class Seen:
    """Results of a flood of readers and of the other calls meanwhile."""

    pages: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    probes: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    megabytes: float = 0.0
    seconds_of_cpu: float = 0.0


async def readers(server: psutil.Process, address: str, health: str, calls: int, seconds: float) -> Seen:
    """Let rita request pages concurrently; measure the server, and the calls of alice and of probes."""
    seen, end = Seen(), time.monotonic() + seconds
    before = sum(server.cpu_times()[:2])

    async def flood(channel: Any) -> None:
        while (left := end - time.monotonic()) > 0:
            try:
                await channel.unary_unary(f"{SERVICE}/ListRuns")(PAGE, metadata=RITA, timeout=left)
                seen.pages += 1
            except grpc.aio.AioRpcError as error:
                if time.monotonic() < end:
                    seen.refused[error.code().name] += 1

    async def measure() -> None:
        while time.monotonic() < end:
            seen.megabytes = max(seen.megabytes, server.memory_info().rss / 1e6)
            await asyncio.sleep(0.1)

    async def others(look: Callable[[], Awaitable[Any]], found: list[float]) -> None:
        while time.monotonic() < end:
            start = time.monotonic()
            await look()
            found.append(time.monotonic() - start)
            await asyncio.sleep(0.5)

    async with channels(address, calls) as flooding, channels(address, 1) as (alice,):
        get = alice.unary_unary(f"{SERVICE}/GetRun")
        request = pb.GetRunRequest(run_id=_ended(0).id).SerializeToString()
        async with asyncio.TaskGroup() as group:
            for channel in flooding:
                group.create_task(flood(channel))
            group.create_task(measure())
            group.create_task(others(lambda: check(health), seen.probes))
            group.create_task(others(lambda: get(request, metadata=ALICE, timeout=SECONDS_FOR_A_PROBE), seen.reads))
    seen.seconds_of_cpu = sum(server.cpu_times()[:2]) - before
    return seen
