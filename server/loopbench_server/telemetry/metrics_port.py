"""The port that metrics are served on, whatever its scrapers are like."""

import socket
import sys
import threading
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, MetricsHandler

log = structlog.get_logger()

# Each has a thread. Whoever comes beyond them takes the place of the one that has been there for longest.
SCRAPERS = 16
# Until one that neither asks nor reads is dropped.
SECONDS_OF_SILENCE = 10.0


class MetricsServer(ThreadingMixIn, TCPServer):
    """Serves what ``registry`` holds, on threads of its own; that of the library takes any number, for any time.

    Raises:
        OSError, OverflowError: it cannot listen there.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._open: dict[Any, None] = {}
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, *_, address = found[0]
        handler = type("Handler", (MetricsHandler,), {"registry": registry, "timeout": SECONDS_OF_SILENCE})
        super().__init__(address[:2], handler)  # type: ignore[arg-type]  # as text, as there is AI_PASSIVE
        threading.Thread(target=self.serve_forever, daemon=True, name="metrics").start()

    @property
    def port(self) -> int:
        """What 0 has become."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the scraper."""
        with self._lock:
            self._open[request] = None
            if len(self._open) > SCRAPERS:
                # Its thread ends by that, and closes it.
                next(iter(self._open)).shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The scraper has what it came for, or has been dropped."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  the library's signature
        """Scrapers that leave half-way are no fault; the library would print a traceback of each."""
        log.debug("scrape failed", error=str(sys.exception()))
