"""Ends a call with the status of the error that its handler raised."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from grpc.aio import AbortError, ServerInterceptor
from opentelemetry.trace import get_current_span

from loopbench_server.errors import InternalError, MessageTimeoutError, TooManyCallsError
from loopbench_server.rpc.error_mapping import from_exception, to_status
from loopbench_server.rpc.handlers import Context, within
from loopbench_server.security.identity import caller
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics
from loopbench_server.telemetry.rate_limited_log import RateLimitedLog

log = structlog.get_logger()

# Errors of too many or too slow calls, which may be a flood.
OVERLOAD = (TooManyCallsError, MessageTimeoutError)


class ErrorInterceptor(ServerInterceptor):
    """Details of an internal error go to the log only."""

    def __init__(self, metrics: RpcMetrics) -> None:
        self._metrics = metrics
        self._refusals = RateLimitedLog()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of the call, with its errors translated."""
        handler = await continuation(handler_call_details)
        return handler and within(handler, self._translated)

    @asynccontextmanager
    async def _translated(self, context: Context) -> AsyncIterator[None]:
        try:
            yield
        except (AbortError, grpc.aio.InternalError):
            raise
        except NotImplementedError:  # from generated code: health's List, which its library leaves out
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the server does not have this method")
        except Exception as error:
            domain_error = from_exception(error)
            self._metrics.failed(domain_error.reason)
            get_current_span().set_attribute("loopbench.reason", domain_error.reason)
            if isinstance(domain_error, OVERLOAD):
                self._refusals.warning(
                    "calls refused", reason=domain_error.reason, error=str(domain_error), caller=caller()
                )
            if isinstance(domain_error, InternalError):
                log.exception("internal error")
                get_current_span().record_exception(error)
            await context.abort_with_status(to_status(domain_error))
