"""What every RPC passes: requests are parsed, errors become statuses, calls are counted, timed, logged and traced."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc.aio import AbortError, ServerInterceptor, ServicerContext
from opentelemetry.trace import Tracer, get_current_span

from loopbench.spec import InvalidFieldsError, Violation
from loopbench_server.access.identity import connection, recognise
from loopbench_server.admission import READS, Admission, Call, Sending
from loopbench_server.errors import InternalError, MessageTimeoutError, TooManyCallsError
from loopbench_server.metrics.rpcs import RpcMetrics
from loopbench_server.rate_limited_log import RateLimitedLog
from loopbench_server.rpc_spans import begin_span, end_span
from loopbench_server.status import from_exception, to_status

log = structlog.get_logger()

# gRPC's numbers, by which a context keeps the code of an aborted call.
CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}

# Whether requests and responses are streams → where a handler keeps its behaviour, and the metrics' word for it.
KINDS = {
    (False, False): ("unary_unary", "unary"),
    (False, True): ("unary_stream", "server_stream"),
    (True, False): ("stream_unary", "client_stream"),
    (True, True): ("stream_stream", "bidi_stream"),
}

# What an error names where no field of a request can be told from another.
WHOLE_REQUEST = "request"

# Of calls that are too many, or too slow: somebody may be flooding the server.
OVERLOAD = (TooManyCallsError, MessageTimeoutError)


def _code_name(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else CODE_NAMES[code or 0]


def _bad_request(fault: str) -> InvalidFieldsError:
    return InvalidFieldsError((Violation(field=WHOLE_REQUEST, description=fault),))


@dataclass(frozen=True)
class Method:
    """A method as it was registered, with the words that the metrics have for it."""

    kind: str
    service: str
    name: str
    behaviour: Any
    # None where the request does not matter, because the call is refused.
    parse: Callable[[bytes], Any] | None
    request_streaming: bool

    @property
    def labels(self) -> tuple[str, str, str]:
        """By which the metrics know it."""
        return self.kind, self.service, self.name

    @property
    def path(self) -> str:
        """By which gRPC knows it."""
        return f"/{self.service}/{self.name}"

    async def given(self, first: Any, raw: AsyncIterator[bytes], received: Callable[[], None]) -> Any:
        """What the behaviour takes: a message, or an iterator of them. Each is told of as it is ``received``.

        Raises:
            InvalidFieldsError: there is no message, or what there is is none; an iterator raises it in its turn.
        """
        if self.parse is None:
            return raw
        if self.request_streaming:
            return self._each(first, raw, self.parse, received)
        if first is grpc.aio.EOF:
            raise _bad_request("holds no message")
        received()
        return _parsed(first, self.parse)

    async def _each(
        self, first: Any, raw: AsyncIterator[bytes], parse: Callable[[bytes], Any], received: Callable[[], None]
    ) -> AsyncIterator[Any]:
        if first is grpc.aio.EOF:
            return
        received()
        yield _parsed(first, parse)
        async for message in raw:
            received()
            yield _parsed(message, parse)


def _parsed(raw: bytes, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(raw)
    except DecodeError as error:
        raise _bad_request("is no message of this method's type, or holds text that is not UTF-8") from error


class Boundary(ServerInterceptor):
    """Wraps every handler of the server.

    gRPC gives each wrapped handler a stream of bytes, which is the same on the wire. Left to itself it would read and
    parse a lone request before the handler is called: what is no message would be a fault of the server's then, and a
    call that ends without any would hang.
    """

    def __init__(self, metrics: RpcMetrics, tracer: Tracer, admission: Admission | None = None) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._admission = admission or Admission()
        self._refusals = RateLimitedLog()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of the call, wrapped; an unknown method, whatever its path looks like, has none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            log.debug("rpc", path=handler_call_details.method, code="UNIMPLEMENTED")
            return None
        _, service, name = handler_call_details.method.split("/")
        attribute, kind = KINDS[handler.request_streaming, handler.response_streaming]
        behaviour = getattr(handler, attribute)
        method = Method(kind, service, name, behaviour, handler.request_deserializer, handler.request_streaming)
        streaming = handler.response_streaming or method.path in READS
        wrapped = {"stream_stream": self._streaming(method)} if streaming else {"stream_unary": self._unary(method)}
        kinds = {"request_streaming": True, "response_streaming": streaming}
        return handler._replace(request_deserializer=None, **kinds | {attribute: None} | wrapped)

    def _unary(self, method: Method) -> Any:
        async def wrapped(raw: AsyncIterator[bytes], context: Any) -> Any:
            async with (
                self._observed(context, method) as call,
                self._admitted(method, call, raw, context) as (given, _),
            ):
                answer = await method.behaviour(given, context)
                self._metrics.sent(method.labels)
                return answer

        return wrapped

    def _streaming(self, method: Method) -> Any:
        async def wrapped(raw: AsyncIterator[bytes], context: Any) -> None:
            async with (
                self._observed(context, method) as call,
                self._admitted(method, call, raw, context) as (given, sending),
            ):
                answers = method.behaviour(given, context)
                if isawaitable(answers):
                    # A read, whose turn ends when its one answer is sent; or a method that writes its answers itself.
                    if (answer := await answers) is not None:
                        with sending():
                            await context.write(answer)
                        self._metrics.sent(method.labels)
                    return
                async with aclosing(answers):
                    async for answer in answers:
                        await context.write(answer)
                        self._metrics.sent(method.labels)

        return wrapped

    @asynccontextmanager
    async def _admitted(
        self, method: Method, call: Call, raw: AsyncIterator[bytes], context: ServicerContext[Any, Any]
    ) -> AsyncIterator[tuple[Any, Sending]]:
        """What the behaviour takes, for a block in which it answers, and what makes the block that sends the answer.

        Nothing is read of a call that is refused.
        """
        if method.parse is None:
            yield raw, nullcontext
            return
        with self._admission.held(call):
            first = await self._admission.first_message(call, context.read())
            given = await method.given(first, raw, partial(self._metrics.received, method.labels))
            async with self._admission.answering(call) as sending:
                yield given, sending

    @asynccontextmanager
    async def _observed(self, context: ServicerContext[Any, Any], method: Method) -> AsyncIterator[Call]:
        self._metrics.began(method.labels)
        span = begin_span(self._tracer, context, f"{method.service}/{method.name}")
        start, code, by = time.perf_counter(), "CANCELLED", recognise(context)
        call = Call(method.path, by, connection(context))
        try:
            async with self._translated(context, call):
                yield call
            code = "OK"
        except AbortError:
            code = _code_name(context)
            raise
        except grpc.aio.InternalError as error:
            # Nothing can be sent, because the caller is gone while it was being told; gRPC would log that as an error.
            raise asyncio.CancelledError from error
        finally:
            seconds = time.perf_counter() - start
            self._metrics.ended(method.labels, code, seconds)
            log.debug(
                "rpc", service=method.service, method=method.name, caller=by, code=code, seconds=round(seconds, 6)
            )
            end_span(span, code, context.details())

    @asynccontextmanager
    async def _translated(self, context: ServicerContext[Any, Any], call: Call) -> AsyncIterator[None]:
        """Ends the call with the status of an error; of a fault of ours the log alone has the details."""
        try:
            yield
        except (AbortError, grpc.aio.InternalError):
            raise
        except NotImplementedError:  # from generated code: health's List, which its library leaves out
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the server does not have this method")
        except Exception as error:
            told = from_exception(error)
            self._metrics.failed(told.reason)
            get_current_span().set_attribute("loopbench.reason", told.reason)
            if isinstance(told, OVERLOAD):
                self._refusals.warning("calls refused", reason=told.reason, error=str(told), caller=call.caller)
            if isinstance(told, InternalError):
                log.exception("internal error")
                get_current_span().record_exception(error)
            await context.abort_with_status(to_status(told))
