"""More than the server takes at once; tests/smoke has what is larger."""

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
from tests.support.servers import PATIENCE, ServerProcess, eventually

GET_RUN = "/loopbench.v1.BenchmarkService/GetRun"
# A call of this method stays open until its caller has no more questions.
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
QUESTION = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
BATCH = 250


def code_of_a_call(server: ServerProcess) -> grpc.StatusCode:
    with grpc.insecure_channel(server.address) as channel:
        call: Any = channel.unary_unary(GET_RUN)
        code: grpc.StatusCode = call.future(b"", timeout=PATIENCE).code()
    return code


async def _with_calls_that_stay(address: str, number: int, code: grpc.StatusCode) -> None:
    """Begins so many calls that stay open, and asks until the answer is ``code``."""
    gone = asyncio.Event()

    async def one_question() -> AsyncIterator[bytes]:
        yield QUESTION
        await gone.wait()

    # Options that differ keep gRPC from giving them all the same connection.
    channels: list[Any] = [
        grpc.aio.insecure_channel(address, options=[("loopbench.channel", place)])
        for place in range(1 + number // CONCURRENT_CALLS_A_CONNECTION)
    ]
    open_calls = []
    for place in range(0, number, BATCH):
        channel = channels[place // CONCURRENT_CALLS_A_CONNECTION]
        open_calls += [channel.stream_stream(REFLECTION)(one_question()) for _ in range(BATCH)]
        # gRPC itself drops calls that come by the thousand before one of them is looked at.
        await channels[-1].unary_unary(GET_RUN)(b"", timeout=PATIENCE).code()
    async with asyncio.timeout(PATIENCE):
        while await channels[-1].unary_unary(GET_RUN)(b"", timeout=PATIENCE).code() is not code:
            # In place of some that were dropped all the same.
            if len(open_calls) < number + CONCURRENT_CALLS_A_CONNECTION // 2:
                open_calls += [channels[-1].stream_stream(REFLECTION)(one_question()) for _ in range(BATCH)]
            await asyncio.sleep(0.05)
    for call in open_calls:
        call.cancel()
    await asyncio.gather(*(channel.close() for channel in channels))


@pytest.mark.slow
def test_calls_at_once_are_bounded_and_others_are_told(server: ServerProcess, client: Client) -> None:
    asyncio.run(_with_calls_that_stay(server.address, CALLS_OF_A_CALLER, grpc.StatusCode.RESOURCE_EXHAUSTED))
    # Once they have gone, there is room again.
    eventually(lambda: code_of_a_call(server) is grpc.StatusCode.INVALID_ARGUMENT)
    assert client.get_server_info().ready
    assert server.faults() == []


def test_a_server_may_open_as_many_files_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    try:
        raise_fd_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
