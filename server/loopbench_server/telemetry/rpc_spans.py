"""A trace span for each call, by OpenTelemetry's conventions for gRPC."""

from typing import Any

from grpc.aio import ServicerContext
from opentelemetry import context as contexts
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROPAGATOR = TraceContextTextMapPropagator()
# Statuses that the conventions count as errors of a server; the others are the caller's.
ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


def begin_span(tracer: Tracer, context: ServicerContext[Any, Any], method: str) -> Span:
    """Begin the span of a call to ``method``, "package.Service/Method", as a child of the caller's ``traceparent``.

    The span becomes the current one for the rest of the call: a call is a task with its own context.
    """
    metadata = context.invocation_metadata() or ()
    carrier = {key: value for key, value in metadata if isinstance(value, str)}
    attributes = {"rpc.system.name": "grpc", "rpc.method": method}
    span = tracer.start_span(method, PROPAGATOR.extract(carrier), SpanKind.SERVER, attributes)
    contexts.attach(set_span_in_context(span))
    return span


def end_span(span: Span, code: str, message: str) -> None:
    """End the span of a call with ``code``, a name of gRPC's, and ``message``."""
    span.set_attribute("rpc.response.status_code", code)
    if code in ERRORS:
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR, message))
    span.end()
