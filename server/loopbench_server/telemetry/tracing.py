"""OpenTelemetry traces, configured by the standard ``OTEL_*`` variables; without them the SDK is not imported."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.trace import NoOpTracerProvider, Tracer, TracerProvider

from loopbench_server.errors import StartError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

NAME = "loopbench-server"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def _otlp() -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  an extra

    return OTLPSpanExporter()


def _console() -> "SpanExporter":
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415  an extra

    # One line per span, in the log's stream: standard output is reserved for the server's address.
    return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n")


EXPORTERS: dict[str, Callable[[], "SpanExporter"]] = {"otlp": _otlp, "console": _console}


def _first_variable(*names: str) -> str:
    """Return the value of the first variable that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def _requested_exporters() -> list[str]:
    """Return the names of the exporters that the environment requests.

    Raises:
        StartError: an exporter or a protocol is not supported; all faults are named.
    """
    if _first_variable("OTEL_SDK_DISABLED").lower() == "true":
        return []
    asked = _first_variable("OTEL_TRACES_EXPORTER") or ("otlp" if _first_variable(*ENDPOINTS) else "none")
    names = [name.strip() for name in asked.split(",")]
    wrong = [
        f"OTEL_TRACES_EXPORTER: '{name}' is not one of {', '.join([*EXPORTERS, 'none'])}"
        for name in names
        if name not in {*EXPORTERS, "none"}
    ]
    protocol = _first_variable(*PROTOCOLS) or "grpc"
    if "otlp" in names and protocol != "grpc":
        wrong.append(f"OTEL_EXPORTER_OTLP_PROTOCOL: '{protocol}' is not supported, only grpc")
    if wrong:
        raise StartError("; ".join(wrong))
    return [name for name in names if name != "none"]


def _make_provider(names: list[str]) -> "SdkTracerProvider":
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415  an extra
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider  # noqa: PLC0415  an extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  an extra

    ours = Resource.create({"service.name": NAME, "service.version": version("keras-loopbench")})
    # The environment takes precedence.
    provider = SdkTracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(EXPORTERS[name]()))
    return provider


def _get_tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer(NAME, version("keras-loopbench"))


@contextmanager
def tracing() -> Iterator[Tracer]:
    """Yield the requested tracer, or one that does nothing; export all spans at the end of the block.

    Raises:
        StartError: the requested traces cannot be set up.
    """
    names = _requested_exporters()
    if not names:
        yield _get_tracer(NoOpTracerProvider())
        return
    try:
        provider = _make_provider(names)
    except ImportError as error:
        raise StartError(f"OTEL_*: traces need loopbench's extra 'telemetry': {error}") from error
    except Exception as error:  # each exporter raises its own errors for bad variables
        raise StartError(f"OTEL_*: cannot set up traces: {error}") from error
    try:
        yield _get_tracer(provider)
    finally:
        provider.shutdown()
