"""Refuses a call whose token lacks the role that its method requires."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc.aio import ServerInterceptor

from loopbench_server.errors import LoopbenchServerError, RoleMissingError, UnauthenticatedError
from loopbench_server.rpc.handlers import Context, with_behavior
from loopbench_server.rpc.methods import METHOD_ROLES
from loopbench_server.security import identity
from loopbench_server.security.reloading_files import ReloadingFiles
from loopbench_server.security.tokens import Role, Token, find_token

HEADER, SCHEME = "authorization", "bearer"


class AuthInterceptor(ServerInterceptor):
    """Decides before anything of the request is read."""

    def __init__(self, tokens: ReloadingFiles[tuple[Token, ...]]) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of the call, or one that refuses it; an unknown method has none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        try:
            self._authorize(handler_call_details)
        except LoopbenchServerError as error:
            return _refusing(handler, error)
        return handler

    def _authorize(self, call: grpc.HandlerCallDetails) -> None:
        # A method that the table lacks requires the highest role.
        required = METHOD_ROLES.get(call.method, Role.WRITE)
        if required is Role.OPEN:
            return
        token = find_token(_get_secret(call.invocation_metadata), self._tokens.current())
        if token is None:
            raise UnauthenticatedError("the token is not one of this server's")
        identity.token_name.set(token.name)
        if token.role < required:
            method = call.method.rpartition("/")[2]
            roles = (role.name.lower() for role in (required, token.role))
            raise RoleMissingError("{} needs the role {}, and the token has {}".format(method, *roles))


def _get_secret(metadata: Any) -> str:
    """Return the token that a call carries.

    Raises:
        UnauthenticatedError: there is no token, or not exactly one.
    """
    match [str(value).split() for key, value in metadata or () if key == HEADER]:
        case [[scheme, secret]] if scheme.lower() == SCHEME:
            return secret
        case []:
            raise UnauthenticatedError("the call carries no token")
        case _:
            raise UnauthenticatedError(f"the call's {HEADER} is not one token of the form 'Bearer TOKEN'")


def _refusing(handler: Any, error: LoopbenchServerError) -> Any:
    async def refuse(_request: AsyncIterator[bytes], _context: Context) -> Any:
        raise error

    return with_behavior(handler, refuse)
