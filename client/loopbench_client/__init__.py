"""Client of loopbench: :class:`Client`, :class:`AsyncClient` and the errors they raise."""

from loopbench_client.async_client import AsyncClient
from loopbench_client.client import Client
from loopbench_client.embedded import EmbeddedServer, embedded_server
from loopbench_client.errors import (
    AlreadyExistsError,
    DeadlineError,
    EmbeddedServerError,
    InvalidSpecError,
    LoopbenchError,
    NotFoundError,
    PreconditionError,
    QueueFullError,
    RunCancelledError,
    RunEndedError,
    RunFailedError,
    ServerError,
    ServerUnavailableError,
    UnsupportedError,
)

__all__ = [
    "AlreadyExistsError",
    "AsyncClient",
    "Client",
    "DeadlineError",
    "EmbeddedServer",
    "EmbeddedServerError",
    "InvalidSpecError",
    "LoopbenchError",
    "NotFoundError",
    "PreconditionError",
    "QueueFullError",
    "RunCancelledError",
    "RunEndedError",
    "RunFailedError",
    "ServerError",
    "ServerUnavailableError",
    "UnsupportedError",
    "embedded_server",
]
