"""Name of the caller for logs and limits."""

import re
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from grpc.aio import ServicerContext

MAX_CALLER_LENGTH = 64
UNKNOWN = "unknown"
UNUSUAL = re.compile(r"[^A-Za-z0-9._@:-]")

# Each call is a task with its own context, which tasks that it starts inherit.
token_name: ContextVar[str] = ContextVar("name of the call's token", default="")
_caller: ContextVar[str] = ContextVar("caller", default=UNKNOWN)
_connection: ContextVar[str] = ContextVar("connection", default="")


def identify_caller(context: ServicerContext[Any, Any]) -> str:
    """Determine the values of :func:`caller` and :func:`connection` for the rest of the call; return the caller.

    Only for the beginning of a call: gRPC crashes when the peer of a cancelled call is read.
    """
    peer: str = context.peer()
    name = token_name.get() or _common_name(context) or _host(peer) or UNKNOWN
    _caller.set(UNUSUAL.sub("?", name)[:MAX_CALLER_LENGTH])
    _connection.set("" if peer.startswith("unix") else peer)
    return _caller.get()


def connection() -> str:
    """Return the peer's address with its port; it is empty on a Unix socket, whose peers are all alike."""
    return _connection.get()


def caller() -> str:
    """Return the name of the call's token, else the common name of the client's certificate, else the peer's host.

    At most 64 letters, digits and ``. _ @ : -``; other characters become ``?``. The host of a Unix socket is "unix".
    The name is "unknown" outside of a call.
    """
    return _caller.get()


def _common_name(context: ServicerContext[Any, Any]) -> str:
    names = context.auth_context().get("x509_common_name", ())
    return b"".join(names).decode(errors="replace")


def _host(peer: str) -> str:
    """Return ``10.0.0.1``, ``::1`` and ``unix`` for ``ipv4:10.0.0.1:50``, ``ipv6:%5B::1%5D:50`` and ``unix:``."""
    kind, _, place = unquote(peer).partition(":")
    return kind if kind == "unix" else place.rpartition(":")[0].strip("[]")
