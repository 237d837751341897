"""Concurrency above the server's limits; tests/smoke covers message sizes."""

import asyncio
import resource
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from loopbench_client import Client
from loopbench_server.fd_limit import raise_fd_limit
from loopbench_server.rpc.admission import CALLS_OF_A_CALLER
from loopbench_server.rpc.server import CONCURRENT_CALLS_A_CONNECTION
from tests.support.servers import TIMEOUT_SECONDS, ServerProcess, eventually

GET_RUN = "/loopbench.v1.BenchmarkService/GetRun"
# A call of this method stays open until its caller closes it.
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
QUESTION = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
BATCH = 250


def probe_code(server: ServerProcess) -> grpc.StatusCode:
    with grpc.insecure_channel(server.address) as channel:
        call: Any = channel.unary_unary(GET_RUN)
        code: grpc.StatusCode = call.future(b"", timeout=TIMEOUT_SECONDS).code()
    return code


async def _with_calls_that_stay(address: str, number: int, code: grpc.StatusCode) -> None:
    """Opens a number of calls, then probes until the status is ``code``."""
    gone = asyncio.Event()

    async def one_question() -> AsyncIterator[bytes]:
        yield QUESTION
        await gone.wait()

    # Different options keep gRPC from sharing one connection.
    channels: list[Any] = [
        grpc.aio.insecure_channel(address, options=[("loopbench.channel", place)])
        for place in range(1 + number // CONCURRENT_CALLS_A_CONNECTION)
    ]
    open_calls = []
    for place in range(0, number, BATCH):
        channel = channels[place // CONCURRENT_CALLS_A_CONNECTION]
        open_calls += [channel.stream_stream(REFLECTION)(one_question()) for _ in range(BATCH)]
        # gRPC drops some of thousands of simultaneous calls before the server sees them.
        await channels[-1].unary_unary(GET_RUN)(b"", timeout=TIMEOUT_SECONDS).code()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await channels[-1].unary_unary(GET_RUN)(b"", timeout=TIMEOUT_SECONDS).code() is not code:
            # Replace dropped calls.
            if len(open_calls) < number + CONCURRENT_CALLS_A_CONNECTION // 2:
                open_calls += [channels[-1].stream_stream(REFLECTION)(one_question()) for _ in range(BATCH)]
            await asyncio.sleep(0.05)
    for call in open_calls:
        call.cancel()
    await asyncio.gather(*(channel.close() for channel in channels))


@pytest.mark.slow
def test_concurrent_calls_are_limited_and_others_get_an_error(server: ServerProcess, client: Client) -> None:
    asyncio.run(_with_calls_that_stay(server.address, CALLS_OF_A_CALLER, grpc.StatusCode.RESOURCE_EXHAUSTED))
    # After they end, new calls are accepted.
    eventually(lambda: probe_code(server) is grpc.StatusCode.INVALID_ARGUMENT)
    assert client.get_server_info().ready
    assert server.faults() == []


def test_a_server_raises_its_file_limit_to_the_maximum() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    try:
        raise_fd_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
