"""Counts, times, logs and traces every call."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
import structlog
from grpc.aio import AbortError, ServerInterceptor
from opentelemetry.trace import Tracer

from loopbench_server.rpc.handlers import Context, within
from loopbench_server.rpc.methods import METHODS
from loopbench_server.security.identity import identify_caller
from loopbench_server.telemetry.metrics.rpcs import Rpc, RpcMetrics
from loopbench_server.telemetry.rpc_spans import begin_span, end_span

log = structlog.get_logger()

# Names of status codes by their numbers, by which a context keeps the code of an aborted call.
CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class ObservabilityInterceptor(ServerInterceptor):
    """The outermost interceptor: it sees the status that the caller receives."""

    def __init__(self, metrics: RpcMetrics, tracer: Tracer) -> None:
        self._metrics = metrics
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of the call, observed; an unknown method has none, whatever its path looks like."""
        handler = await continuation(handler_call_details)
        if handler is None:
            log.debug("rpc", path=handler_call_details.method, code="UNIMPLEMENTED")
            return None
        return within(handler, partial(self._observed, METHODS[handler_call_details.method]))

    @asynccontextmanager
    async def _observed(self, rpc: Rpc, context: Context) -> AsyncIterator[None]:
        _, service, method = rpc
        self._metrics.began(rpc)
        span = begin_span(self._tracer, context, f"{service}/{method}")
        start, code, caller = time.perf_counter(), "CANCELLED", identify_caller(context)
        try:
            yield
            code = "OK"
        except AbortError:
            code = _get_code_name(context)
            raise
        except grpc.aio.InternalError as error:
            # The caller left while the status was sent; gRPC would log that as an error.
            raise asyncio.CancelledError from error
        finally:
            seconds = time.perf_counter() - start
            self._metrics.ended(rpc, code, seconds)
            log.debug("rpc", service=service, method=method, caller=caller, code=code, seconds=round(seconds, 6))
            end_span(span, code, context.details())


def _get_code_name(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else CODE_NAMES[code or 0]
