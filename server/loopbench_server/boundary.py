"""What every RPC passes: errors become statuses, and calls are counted, timed, logged and traced."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from grpc.aio import AbortError, ServerInterceptor, ServicerContext
from opentelemetry.trace import Tracer, get_current_span

from loopbench_server.access.identity import recognise
from loopbench_server.errors import InternalError
from loopbench_server.metrics import Metrics
from loopbench_server.rpc_spans import begin_span, end_span
from loopbench_server.status import from_exception, to_status

log = structlog.get_logger()

# gRPC's numbers, by which a context keeps the code of an aborted call.
CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def _code_name(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else CODE_NAMES[code or 0]


class Boundary(ServerInterceptor):
    """Wraps every handler of the server."""

    def __init__(self, metrics: Metrics, tracer: Tracer) -> None:
        self._metrics = metrics
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of the call, wrapped; an unknown method has none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            log.debug("rpc", path=handler_call_details.method, code="UNIMPLEMENTED")
            return None
        _, service, method = handler_call_details.method.split("/")
        if handler.response_streaming:
            return handler._replace(**self._streaming(handler, service, method))
        return handler._replace(unary_unary=self._unary(handler.unary_unary, service, method))

    def _unary(self, behaviour: Any, service: str, method: str) -> Any:
        async def wrapped(request: Any, context: Any) -> Any:
            async with self._observed(context, "unary", service, method):
                return await behaviour(request, context)

        return wrapped

    def _streaming(self, handler: Any, service: str, method: str) -> dict[str, Any]:
        name, kind = (
            ("stream_stream", "bidi_stream") if handler.request_streaming else ("unary_stream", "server_stream")
        )
        behaviour = getattr(handler, name)

        async def wrapped(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._observed(context, kind, service, method):
                async for response in behaviour(request, context):
                    yield response

        return {name: wrapped}

    @asynccontextmanager
    async def _observed(
        self, context: ServicerContext[Any, Any], kind: str, service: str, method: str
    ) -> AsyncIterator[None]:
        labels = (kind, service, method)
        self._metrics.rpc_started.labels(*labels).inc()
        span = begin_span(self._tracer, context, f"{service}/{method}")
        start, code, by = time.perf_counter(), "CANCELLED", recognise(context)
        try:
            async with _translated(context):
                yield
            code = "OK"
        except AbortError:
            code = _code_name(context)
            raise
        finally:
            seconds = time.perf_counter() - start
            self._metrics.rpc_handled.labels(*labels, code).inc()
            self._metrics.rpc_seconds.labels(*labels).observe(seconds)
            log.debug("rpc", service=service, method=method, caller=by, code=code, seconds=round(seconds, 6))
            end_span(span, code, context.details())


@asynccontextmanager
async def _translated(context: ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """Ends the call with the status of an error; of a fault of ours the log alone has the details."""
    try:
        yield
    except AbortError:
        raise
    except Exception as error:
        told = from_exception(error)
        get_current_span().set_attribute("loopbench.reason", told.reason)
        if isinstance(told, InternalError):
            log.exception("internal error")
            get_current_span().record_exception(error)
        await context.abort_with_status(to_status(told))
