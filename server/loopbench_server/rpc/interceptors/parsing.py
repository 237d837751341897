"""Reads, parses and writes the messages of every call, within the limits of :mod:`loopbench_server.rpc.admission`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import ServerInterceptor

from loopbench.spec import InvalidFieldsError, Violation
from loopbench_server.rpc.admission import READS, Admission, Call, SendBlock
from loopbench_server.rpc.handlers import HANDLER_KINDS, Behavior, Context, get_behavior
from loopbench_server.rpc.methods import METHODS
from loopbench_server.security.identity import caller, connection
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics

# Field that an error names where the fields of a request cannot be separated.
WHOLE_REQUEST = "request"


class ParsingInterceptor(ServerInterceptor):
    """The innermost interceptor: its handlers take a stream of bytes, and write the messages of a stream themselves.

    A stream of bytes is the same on the wire. gRPC itself would read and parse a single request before it calls the
    handler: bytes that are no message would be an error of the server, and a call without a message would hang.
    """

    def __init__(self, metrics: RpcMetrics) -> None:
        self._metrics = metrics
        self._admission = Admission()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return a handler that takes bytes; an unknown method has none."""
        handler, path = await continuation(handler_call_details), handler_call_details.method
        if handler is None:
            return None
        method = _Method(path, get_behavior(handler), handler.request_deserializer, handler.request_streaming)
        response_streaming = handler.response_streaming or path in READS
        behavior = self._make_stream(method) if response_streaming else self._make_unary(method)
        return handler._replace(
            request_deserializer=None,
            request_streaming=True,
            response_streaming=response_streaming,
            **dict.fromkeys((kind.attribute for kind in HANDLER_KINDS.values()), None)
            | {HANDLER_KINDS[True, response_streaming].attribute: behavior},
        )

    def _make_unary(self, method: "_Method") -> Behavior:
        async def behavior(raw: AsyncIterator[bytes], context: Context) -> Any:
            async with self._admitted(method, raw, context) as (request, _):
                response = await method.behavior(request, context)
                self._metrics.sent(METHODS[method.path])
                return response

        return behavior

    def _make_stream(self, method: "_Method") -> Behavior:
        async def behavior(raw: AsyncIterator[bytes], context: Context) -> None:
            async with self._admitted(method, raw, context) as (request, sending):
                responses = method.behavior(request, context)
                if isawaitable(responses):
                    # A read, whose turn ends when its one response is sent; or a method that writes by itself.
                    if (response := await responses) is not None:
                        await self._write(method, response, context, sending)
                    return
                async with aclosing(responses):
                    async for response in responses:
                        await self._write(method, response, context)

        return behavior

    async def _write(
        self, method: "_Method", response: Any, context: Context, sending: SendBlock = nullcontext
    ) -> None:
        with sending():
            await context.write(response)
        self._metrics.sent(METHODS[method.path])

    @asynccontextmanager
    async def _admitted(
        self, method: "_Method", raw: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[tuple[Any, SendBlock]]:
        """Yield the request, or an iterator of requests, to a block that responds, and what makes its block to send."""
        call = Call(method.path, caller(), connection())
        with self._admission.hold(call):
            first = await self._admission.read_first_message(call, context.read())
            if method.request_streaming:
                request = self._parse_each(method, first, raw)
            elif first is grpc.aio.EOF:
                raise _bad_request("holds no message")
            else:
                request = self._parse(method, first)
            async with self._admission.responding(call) as sending:
                yield request, sending

    def _parse(self, method: "_Method", message: bytes) -> Any:
        self._metrics.received(METHODS[method.path])
        try:
            return method.parse(message)
        except DecodeError as error:
            raise _bad_request("is no message of this method's type, or holds text that is not UTF-8") from error

    async def _parse_each(self, method: "_Method", first: Any, raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        if first is grpc.aio.EOF:
            return
        yield self._parse(method, first)
        async for message in raw:
            yield self._parse(method, message)


@dataclass(frozen=True)
class _Method:
    """A method as its service registered it."""

    path: str
    behavior: Any
    parse: Callable[[bytes], Any]
    request_streaming: bool


def _bad_request(fault: str) -> InvalidFieldsError:
    return InvalidFieldsError((Violation(field=WHOLE_REQUEST, description=fault),))
