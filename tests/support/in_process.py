"""gRPC servers in the process of the test, each on a free port of the loopback interface."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import grpc
from grpc_status import rpc_status

from loopbench.v1 import benchmark_service_pb2_grpc

T = TypeVar("T")
# Adds services to a server.
Register = Callable[[Any], object]
LOOPBACK = "127.0.0.1"
THREADS = 64


def benchmark_service(servicer: Any) -> Register:
    """Adds ``servicer`` as the BenchmarkService; it need not implement every method."""
    return lambda server: benchmark_service_pb2_grpc.add_BenchmarkServiceServicer_to_server(servicer, server)


@asynccontextmanager
async def aio_server(
    *register: Register, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()
) -> AsyncIterator[grpc.aio.Channel]:
    """An asyncio server that runs while the block lasts; yields a channel to it."""
    server = grpc.aio.server(interceptors=interceptors)
    for add in register:
        add(server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


@contextmanager
def threaded_server(*register: Register, handlers: Sequence[grpc.GenericRpcHandler] = ()) -> Iterator[str]:
    """A server with threads that runs while the block lasts; yields its address."""
    server = grpc.server(ThreadPoolExecutor(THREADS), handlers=[*handlers])
    for add in register:
        add(server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    try:
        yield f"{LOOPBACK}:{port}"
    finally:
        server.stop(None).wait()


async def collect_messages(stream: AsyncIterable[T]) -> list[T]:
    """Every message of a stream."""
    return [message async for message in stream]


async def catch_status(call: Awaitable[Any]) -> tuple[Any, Any]:
    """The error that ends a call, and the status with details that the error carries."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error, rpc_status.from_call(error)
    raise AssertionError("the call succeeded")
