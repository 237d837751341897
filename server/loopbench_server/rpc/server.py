"""Ports of the server: gRPC, and health only."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
from grpc.aio import ServerInterceptor
from grpc_health.v1 import health_pb2_grpc

from loopbench.addresses import UNIX
from loopbench.v1 import benchmark_service_pb2_grpc
from loopbench_server.errors import StartError
from loopbench_server.listening import check_free
from loopbench_server.rpc.health import Health
from loopbench_server.rpc.methods import BENCHMARK, HEALTH
from loopbench_server.rpc.reflection import add_reflection
from loopbench_server.rpc.servicer import BenchmarkService
from loopbench_server.security.access import Access

MESSAGE_BYTES = 1 << 20
METADATA_BYTES = 16 << 10
# Concurrent calls on one connection. Admission limits the calls of the port by caller and kind.
CONCURRENT_CALLS_A_CONNECTION = 1_000
OPTIONS = {
    # A larger message, after decompression, ends with RESOURCE_EXHAUSTED.
    "grpc.max_receive_message_length": MESSAGE_BYTES,
    # Between the two limits gRPC would refuse at random.
    "grpc.max_metadata_size": METADATA_BYTES,
    "grpc.absolute_max_metadata_size": METADATA_BYTES,
    "grpc.max_concurrent_streams": CONCURRENT_CALLS_A_CONNECTION,
    # A connection that does not begin HTTP/2 in time is closed.
    "grpc.server_handshake_timeout_ms": 10_000,
    # A second server on the same port is an error, instead of silently taking half of the traffic.
    "grpc.so_reuseport": 0,
    # A client pings every 12 seconds to detect a dead server; by default gRPC closes such connections.
    "grpc.http2.min_ping_interval_without_data_ms": 5_000,
    # Detects callers whose host vanished, whose runs are then cancelled, and dead connections without calls.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.keepalive_timeout_ms": 10_000,
    # The time limit for the response to a ping, whatever the keepalive timeout; a minute by default.
    "grpc.http2.ping_timeout_ms": 10_000,
}
# A prober has one or two calls.
HEALTH_CALLS_A_CONNECTION = 100
# Time for open streams to end after the runs they wait for have ended.
GRACE_SECONDS = 2.0


def _listen(server: grpc.aio.Server, flag: str, address: str, credentials: grpc.ServerCredentials | None) -> str:
    try:
        check_free(address)
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except OSError as error:
        raise StartError(f"{flag}: cannot serve on {address}: {error.strerror or error}") from error
    except RuntimeError as error:  # without the system's error
        raise StartError(f"{flag}: cannot serve on {address}: is it taken, or its folder missing?") from error
    return address if address.startswith(UNIX) else f"{address.rpartition(':')[0]}:{port}"


@asynccontextmanager
async def _started(server: grpc.aio.Server) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop(GRACE_SECONDS)


@asynccontextmanager
async def health_server(address: str, health: Health, interceptors: Sequence[ServerInterceptor]) -> AsyncIterator[str]:
    """Serve the health service only, without TLS and tokens, unless ``address`` is "none".

    The probes of Kubernetes support neither TLS nor tokens.

    Raises:
        StartError: the port is taken, or the host is not this machine.
    """
    if address == "none":
        yield address
        return
    options = OPTIONS | {"grpc.max_concurrent_streams": HEALTH_CALLS_A_CONNECTION}
    server = grpc.aio.server(interceptors=interceptors, options=list(options.items()))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    listening = _listen(server, "--health-address", address, None)
    async with _started(server):
        yield listening


@asynccontextmanager
async def grpc_server(
    address: str,
    service: BenchmarkService,
    health: Health,
    interceptors: Sequence[ServerInterceptor],
    access: Access,
) -> AsyncIterator[str]:
    """Serve within the block; yield the address with the actual port.

    Raises:
        StartError: the port is taken, or the host is not this machine.
    """
    server = grpc.aio.server(interceptors=interceptors, options=list(OPTIONS.items()))
    benchmark_service_pb2_grpc.add_BenchmarkServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if access.reflection:
        add_reflection(server, (BENCHMARK, HEALTH))
    listening = _listen(server, "--address", address, access.credentials)
    async with _started(server):
        yield listening
