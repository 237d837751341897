"""gRPC's method handlers: their kinds, and how interceptors change them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from grpc.aio import ServicerContext

Context = ServicerContext[Any, Any]
Behavior = Callable[[AsyncIterator[bytes], Context], Awaitable[Any]]


class HandlerKind(NamedTuple):
    """Attribute that holds a handler's behavior, and the type of its method in the metrics."""

    attribute: str
    rpc_type: str


# By whether requests and responses are streams.
HANDLER_KINDS = {
    (False, False): HandlerKind("unary_unary", "unary"),
    (False, True): HandlerKind("unary_stream", "server_stream"),
    (True, False): HandlerKind("stream_unary", "client_stream"),
    (True, True): HandlerKind("stream_stream", "bidi_stream"),
}


def get_behavior(handler: Any) -> Any:
    """Return the function that handles a call."""
    return getattr(handler, HANDLER_KINDS[handler.request_streaming, handler.response_streaming].attribute)


def with_behavior(handler: Any, behavior: Behavior) -> Any:
    """Return a handler of the same kind that calls ``behavior``."""
    kind = HANDLER_KINDS[handler.request_streaming, handler.response_streaming]
    return handler._replace(**{kind.attribute: behavior})


def within(handler: Any, around: Callable[[Context], AbstractAsyncContextManager[None]]) -> Any:
    """Return a handler whose behavior runs inside ``around``. The behavior writes the messages of a stream itself."""
    behavior = get_behavior(handler)

    async def wrapped(request: AsyncIterator[bytes], context: Context) -> Any:
        async with around(context):
            return await behavior(request, context)

    return with_behavior(handler, wrapped)
