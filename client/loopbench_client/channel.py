"""How a channel to the server behaves: keepalive, reconnection, message size, proxy."""

from typing import Any

from loopbench.addresses import is_loopback
from loopbench.v1 import benchmark_service_pb2, run_pb2
from loopbench_client.access import Tls

SERVICE = benchmark_service_pb2.DESCRIPTOR.services_by_name["BenchmarkService"]

# Seconds, for a call that trains nothing.
DEFAULT_TIMEOUT = 30.0
# Seconds: an eager evaluation takes the whole set batch by batch, and may have to wait for others.
EVALUATE_TIMEOUT = 600.0
# Seconds: experiments take some ten, a verification trains a dozen runs and may have to wait for others.
DIAGNOSE_TIMEOUT = 3_600.0


def channel_options(address: str) -> list[tuple[str, str | int]]:
    """Options for a channel to ``address``."""
    return [
        # The client repeats calls itself; see retry.py.
        ("grpc.enable_retries", 0),
        # A name of several servers, such as that of a headless Service: calls go to all of them in turn.
        ("grpc.lb_policy_name", "round_robin"),
        # A server that was away for long is found again within seconds, and not within two minutes.
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # A run can be silent for long: only pings show that the server lives. The server must allow them this often
        # (grpc.http2.min_ping_interval_without_data_ms), or it ends the connection with "too_many_pings".
        # Detects a dead connection before the deadline of a call, and one without calls before the next call.
        ("grpc.keepalive_time_ms", 12_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # The time limit for the response to a ping, whatever the keepalive timeout; a minute by default.
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A page of runs with long histories is larger than gRPC's 4 MiB.
        ("grpc.max_receive_message_length", -1),
        # A proxy cannot reach this machine's own loopback.
        ("grpc.enable_http_proxy", int(not is_loopback(address))),
    ]


def open_channel(kind: Any, address: str, tls: Tls | None) -> Any:
    """A channel to ``address``, of ``kind`` :mod:`grpc` or :mod:`grpc.aio`.

    Raises:
        TlsError: files of ``tls`` that cannot be used.
    """
    options = channel_options(address)
    return kind.secure_channel(address, tls.credentials(), options) if tls else kind.insecure_channel(address, options)


def train_method(channel: Any) -> Any:
    """Train on a channel of either kind, as a stream of one message.

    On the wire this is the same as the unary call. But gRPC hands over a unary call's initial metadata, which name the
    run, only together with its answer; a stream's it hands over at once.
    """
    return channel.unary_stream(
        f"/{SERVICE.full_name}/Train",
        request_serializer=benchmark_service_pb2.TrainRequest.SerializeToString,
        response_deserializer=run_pb2.Run.FromString,
    )
