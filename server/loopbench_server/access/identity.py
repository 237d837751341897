"""Who calls."""

from typing import Any

import grpc


def caller(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The host of the caller."""
    peer: str = context.peer()
    return peer.rpartition(":")[0]
