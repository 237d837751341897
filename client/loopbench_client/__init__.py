"""Client of loopbench: :class:`Client`, :class:`AsyncClient` and the errors they raise."""

from loopbench_client import grpc_logging  # noqa: F401  for what it does

# isort: split
from loopbench_client.access import Access, Tls
from loopbench_client.async_client import AsyncClient
from loopbench_client.client import Client
from loopbench_client.embedded import EmbeddedServer, embedded_server
from loopbench_client.errors import (
    AccessError,
    AlreadyExistsError,
    DeadlineError,
    EmbeddedServerError,
    InvalidSpecError,
    LoopbenchError,
    NotFoundError,
    OutputError,
    PermissionDeniedError,
    PreconditionError,
    QueueFullError,
    RunCancelledError,
    RunEndedError,
    RunFailedError,
    ServerError,
    ServerUnavailableError,
    TlsError,
    TooMuchError,
    UnauthenticatedError,
    UnsupportedError,
)

__all__ = [
    "Access",
    "AccessError",
    "AlreadyExistsError",
    "AsyncClient",
    "Client",
    "DeadlineError",
    "EmbeddedServer",
    "EmbeddedServerError",
    "InvalidSpecError",
    "LoopbenchError",
    "NotFoundError",
    "OutputError",
    "PermissionDeniedError",
    "PreconditionError",
    "QueueFullError",
    "RunCancelledError",
    "RunEndedError",
    "RunFailedError",
    "ServerError",
    "ServerUnavailableError",
    "Tls",
    "TlsError",
    "TooMuchError",
    "UnauthenticatedError",
    "UnsupportedError",
    "embedded_server",
]
