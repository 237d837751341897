"""Who calls: a bounded name for logs and limits."""

import re
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from grpc.aio import ServicerContext

LONGEST = 64
UNKNOWN = "unknown"
UNUSUAL = re.compile(r"[^A-Za-z0-9._@:-]")

# A call is a task of its own, and so has a context of its own, which tasks that it starts take over.
token_name: ContextVar[str] = ContextVar("name of the call's token", default="")
_caller: ContextVar[str] = ContextVar("caller", default=UNKNOWN)


def recognise(context: ServicerContext[Any, Any]) -> str:
    """Works out who calls, for :func:`caller` to say. Only at the beginning of a call.

    gRPC crashes where it is asked for the peer of a call that has been cancelled.
    """
    name = token_name.get() or _common_name(context) or _host(context.peer()) or UNKNOWN
    _caller.set(UNUSUAL.sub("?", name)[:LONGEST])
    return _caller.get()


def connection(context: ServicerContext[Any, Any]) -> str:
    """The peer's address with its port. It is empty on a Unix socket, whose peers are all alike.

    Only at the beginning of a call, as :func:`recognise`.
    """
    peer: str = context.peer()
    return "" if peer.startswith("unix") else peer


def caller() -> str:
    """The name of the call's token, else the common name of the client's certificate, else the peer's host, or "unix".

    At most 64 letters, digits and ``. _ @ : -``, other characters replaced by ``?``; "unknown" where no call goes on.
    """
    return _caller.get()


def _common_name(context: ServicerContext[Any, Any]) -> str:
    names = context.auth_context().get("x509_common_name", ())
    return b"".join(names).decode(errors="replace")


def _host(peer: str) -> str:
    """``ipv4:10.0.0.1:50``, ``ipv6:%5B::1%5D:50`` and ``unix:`` → ``10.0.0.1``, ``::1`` and ``unix``."""
    kind, _, place = unquote(peer).partition(":")
    return kind if kind == "unix" else place.rpartition(":")[0].strip("[]")
