"""Lets a call pass whose token has the role that its method needs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc.aio import ServerInterceptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from loopbench.v1 import benchmark_service_pb2
from loopbench_server.errors import LoopbenchServerError, RoleMissingError, UnauthenticatedError
from loopbench_server.security import identity
from loopbench_server.security.reloading_files import Watched
from loopbench_server.security.tokens import Role, Token, find

BENCHMARK = benchmark_service_pb2.DESCRIPTOR.services_by_name["BenchmarkService"].full_name
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name

NEEDED: dict[str, Role] = {
    f"/{BENCHMARK}/Train": Role.WRITE,
    f"/{BENCHMARK}/Evaluate": Role.WRITE,
    f"/{BENCHMARK}/WatchRun": Role.READ,
    f"/{BENCHMARK}/GetRun": Role.READ,
    f"/{BENCHMARK}/ListRuns": Role.READ,
    f"/{BENCHMARK}/CancelRun": Role.WRITE,
    f"/{BENCHMARK}/DeleteRun": Role.WRITE,
    f"/{BENCHMARK}/Compare": Role.READ,
    f"/{BENCHMARK}/Diagnose": Role.WRITE,
    f"/{BENCHMARK}/GetServerInfo": Role.READ,
    f"/{REFLECTION}/ServerReflectionInfo": Role.READ,
    # Probes carry no token.
    f"/{HEALTH}/Check": Role.OPEN,
    f"/{HEALTH}/List": Role.OPEN,
    f"/{HEALTH}/Watch": Role.OPEN,
}

HEADER, SCHEME = "authorization", "bearer"

# Whether a handler takes a stream, and whether it answers with one → the attribute that holds what to call.
BEHAVIOURS = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}


class Guard(ServerInterceptor):
    """Decides before a request is read. Inside the boundary, which makes a status of a refusal and counts it."""

    def __init__(self, tokens: Watched[tuple[Token, ...]]) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of the call, or one that refuses; an unknown method has none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        try:
            self._admit(handler_call_details)
        except LoopbenchServerError as error:
            return _refusing(handler, error)
        return handler

    def _admit(self, call: grpc.HandlerCallDetails) -> None:
        # What the table does not know is for those who may do everything.
        needed = NEEDED.get(call.method, Role.WRITE)
        if needed is Role.OPEN:
            return
        token = find(_secret(call.invocation_metadata), self._tokens.current())
        if token is None:
            raise UnauthenticatedError("the token is not one of this server's")
        identity.token_name.set(token.name)
        if token.role < needed:
            method = call.method.rpartition("/")[2]
            roles = (role.name.lower() for role in (needed, token.role))
            raise RoleMissingError("{} needs the role {}, and the token has {}".format(method, *roles))


def _secret(metadata: Any) -> str:
    """The token that a call carries.

    Raises:
        UnauthenticatedError: there is none, or not exactly one.
    """
    match [str(value).split() for key, value in metadata or () if key == HEADER]:
        case [[scheme, secret]] if scheme.lower() == SCHEME:
            return secret
        case []:
            raise UnauthenticatedError("the call carries no token")
        case _:
            raise UnauthenticatedError(f"the call's {HEADER} is not one token of the form 'Bearer TOKEN'")


def _refusing(handler: Any, error: LoopbenchServerError) -> Any:
    """The same kind of handler; it does not even parse what the caller sends."""

    async def refuse(_request: Any, _context: Any) -> Any:
        raise error

    async def refuse_by_stream(_request: Any, _context: Any) -> AsyncIterator[Any]:
        raise error
        yield  # makes a stream of it

    behaviour = refuse_by_stream if handler.response_streaming else refuse
    name = BEHAVIOURS[handler.request_streaming, handler.response_streaming]
    return handler._replace(request_deserializer=None, **{name: behaviour})
