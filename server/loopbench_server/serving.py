"""The ports that the server listens on: gRPC, and health alone."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from loopbench.addresses import UNIX
from loopbench.v1 import benchmark_service_pb2, benchmark_service_pb2_grpc
from loopbench_server.access.configured import Access
from loopbench_server.boundary import KINDS, Boundary
from loopbench_server.health import Health
from loopbench_server.metrics.rpcs import Rpc
from loopbench_server.service import BenchmarkService
from loopbench_server.starting import StartError

SERVICE_NAME = benchmark_service_pb2.DESCRIPTOR.services_by_name["BenchmarkService"].full_name
HEALTH_NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
FILES = (benchmark_service_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
MESSAGE_BYTES = 1 << 20
METADATA_BYTES = 16 << 10
# Calls at once on one connection. Admission bounds those of the port, by who calls and what.
CONCURRENT_CALLS_A_CONNECTION = 1_000
OPTIONS = {
    # What is larger, once it is decompressed, ends with RESOURCE_EXHAUSTED.
    "grpc.max_receive_message_length": MESSAGE_BYTES,
    # Between the two, gRPC would refuse at random.
    "grpc.max_metadata_size": METADATA_BYTES,
    "grpc.absolute_max_metadata_size": METADATA_BYTES,
    "grpc.max_concurrent_streams": CONCURRENT_CALLS_A_CONNECTION,
    # A connection that does not begin to speak HTTP/2 is closed.
    "grpc.server_handshake_timeout_ms": 10_000,
    # A second server on the same port is an error, not a silent half of the traffic.
    "grpc.so_reuseport": 0,
    # A client pings every twelve seconds to notice a dead server; by default gRPC takes that for abuse and hangs up.
    "grpc.http2.min_ping_interval_without_data_ms": 5_000,
    # A caller whose host vanishes is noticed as well, and its run called off; so is a connection without calls.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.keepalive_timeout_ms": 10_000,
    # gRPC waits for the answer of a ping for as long as this, whatever the keepalive timeout: a minute by default.
    "grpc.http2.ping_timeout_ms": 10_000,
}
# Whoever asks for health alone has a call or two.
HEALTH_CALLS_A_CONNECTION = 100
# Open streams, after the runs they wait for have ended, get this long to end by themselves.
GRACE_SECONDS = 2.0


def served_methods() -> list[Rpc]:
    """All that callers may call, as the metrics know them."""
    services = [service for file in FILES for service in file.services_by_name.values()]
    return [
        (KINDS[method.client_streaming, method.server_streaming][1], service.full_name, method.name)
        for service in services
        for method in service.methods
    ]


def _listen(server: grpc.aio.Server, flag: str, address: str, credentials: grpc.ServerCredentials | None) -> str:
    try:
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(f"{flag}: cannot serve on {address}: {_cause(address)}") from error
    return address if address.startswith(UNIX) else f"{address.rpartition(':')[0]}:{port}"


def _cause(address: str) -> str:
    """The system's words for why ``address`` cannot be served on, which gRPC does not pass on."""
    if address.startswith(UNIX):
        return "is the path taken, or its folder missing?"
    host, _, port = address.rpartition(":")
    try:
        for family, kind, _, _, found in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                probe.bind(found)
    except (OSError, OverflowError) as error:
        return str(getattr(error, "strerror", None) or error)
    return "is the port taken?"


@asynccontextmanager
async def _started(server: grpc.aio.Server) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop(GRACE_SECONDS)


@asynccontextmanager
async def health_server(address: str, health: Health, boundary: Boundary) -> AsyncIterator[str]:
    """As :func:`grpc_server`, of the health service alone and to anybody, unless ``address`` is "none".

    The probes of Kubernetes know neither TLS nor tokens.

    Raises:
        StartError: the port is taken, or the host is not this one.
    """
    if address == "none":
        yield address
        return
    options = OPTIONS | {"grpc.max_concurrent_streams": HEALTH_CALLS_A_CONNECTION}
    server = grpc.aio.server(interceptors=[boundary], options=list(options.items()))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    listening = _listen(server, "--health-address", address, None)
    async with _started(server):
        yield listening


@asynccontextmanager
async def grpc_server(
    address: str,
    service: BenchmarkService,
    health: Health,
    boundary: Boundary,
    access: Access,
) -> AsyncIterator[str]:
    """Serves while the block lasts; gives the address with the port that 0 became.

    Raises:
        StartError: the port is taken, or the host is not this one.
    """
    server = grpc.aio.server(interceptors=[boundary, *access.guards], options=list(OPTIONS.items()))
    benchmark_service_pb2_grpc.add_BenchmarkServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if access.reflection:
        reflection.enable_server_reflection((SERVICE_NAME, HEALTH_NAME, reflection.SERVICE_NAME), server)
    listening = _listen(server, "--address", address, access.credentials)
    async with _started(server):
        yield listening
