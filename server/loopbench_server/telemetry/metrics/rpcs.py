"""Metrics of calls, under the names of go-grpc-prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from loopbench_server.telemetry.metrics import labels

# Some calls wait for runs.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)

Rpc = tuple[str, str, str]


class RpcMetrics:
    """Metrics of calls by :data:`labels.RPC`; those of ``known`` methods start at zero."""

    def __init__(self, registry: CollectorRegistry, known: Iterable[Rpc] = ()) -> None:
        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(name, text, (*labels.RPC, *more), registry=registry)

        self._started = counter("grpc_server_started", "Calls that began on the server.")
        self._handled = counter("grpc_server_handled", "Calls that ended on the server, by their status.", "grpc_code")
        self._received = counter("grpc_server_msg_received", "Messages that callers sent.")
        self._sent = counter("grpc_server_msg_sent", "Messages that callers were sent.")
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Duration of a call on the server; Train and WatchRun wait for runs.",
            labels.RPC,
            buckets=BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "loopbench_rpc_errors", "Calls that ended with an error, by its reason.", ("reason",), registry=registry
        )
        self._show_series_from_zero(known)

    def _show_series_from_zero(self, known: Iterable[Rpc]) -> None:
        for rpc in known:
            for metric in (self._started, self._received, self._sent, self._seconds):
                metric.labels(*rpc)
            for code in labels.GO_CODES.values():
                self._handled.labels(*rpc, code)
        for reason in labels.REASONS:
            self._errors.labels(reason)

    def began(self, rpc: Rpc) -> None:
        """A call began."""
        self._started.labels(*rpc).inc()

    def received(self, rpc: Rpc) -> None:
        """The caller sent a message."""
        self._received.labels(*rpc).inc()

    def sent(self, rpc: Rpc) -> None:
        """The server sent a message."""
        self._sent.labels(*rpc).inc()

    def failed(self, reason: str) -> None:
        """A call ends with a domain error."""
        self._errors.labels(reason).inc()

    def ended(self, rpc: Rpc, code: str, seconds: float) -> None:
        """A call ended with the status ``code``, a name of gRPC's."""
        self._handled.labels(*rpc, labels.GO_CODES[code]).inc()
        self._seconds.labels(*rpc).observe(seconds)
