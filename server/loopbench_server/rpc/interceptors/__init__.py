"""Interceptors that every call passes, from the outermost to the innermost: observability, errors, auth, parsing."""

from grpc.aio import ServerInterceptor
from opentelemetry.trace import Tracer

from loopbench_server.rpc.interceptors.auth import AuthInterceptor
from loopbench_server.rpc.interceptors.errors import ErrorInterceptor
from loopbench_server.rpc.interceptors.observability import ObservabilityInterceptor
from loopbench_server.rpc.interceptors.parsing import ParsingInterceptor
from loopbench_server.security.reloading_files import ReloadingFiles
from loopbench_server.security.tokens import Token
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics


def make_interceptors(
    metrics: RpcMetrics, tracer: Tracer, tokens: ReloadingFiles[tuple[Token, ...]] | None = None
) -> tuple[ServerInterceptor, ...]:
    """Return the interceptors of one port, in order. Without ``tokens`` the port is open to every caller."""
    return (
        ObservabilityInterceptor(metrics, tracer),
        ErrorInterceptor(metrics),
        *([AuthInterceptor(tokens)] if tokens else []),
        ParsingInterceptor(metrics),
    )
