"""Exporters that the environment selects, and the errors for missing ones."""

import os
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from loopbench_server.errors import StartError
from loopbench_server.telemetry.tracing import EXPORTERS, tracing
from tests.support.in_process import threaded_server

OTLP_NOWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def _no_variables_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Requested exporters; none of them exports."""
    names: list[str] = []

    def exporter(name: str) -> InMemorySpanExporter:
        names.append(name)
        return InMemorySpanExporter()

    for name in EXPORTERS:
        monkeypatch.setitem(EXPORTERS, name, partial(exporter, name))
    return names


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, []),
        ({"OTEL_TRACES_EXPORTER": ""}, []),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "console"}, ["console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp", "console"]),
        (OTLP_NOWHERE, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, ["otlp"]),
        (OTLP_NOWHERE | {"OTEL_TRACES_EXPORTER": "none"}, []),
        (OTLP_NOWHERE | {"OTEL_SDK_DISABLED": "TRUE"}, []),
        (OTLP_NOWHERE | {"OTEL_SDK_DISABLED": "false"}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, []),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ["console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp"]),
    ],
)
def test_the_variables_choose_the_exporters(
    variables: dict[str, str], exporters: list[str], made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with tracing() as tracer, tracer.start_as_current_span("one") as span:
        assert span.is_recording() is bool(exporters)
    assert made == exporters


def test_everything_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin,otlp,jaeger")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    with pytest.raises(StartError) as caught, tracing():
        pass
    assert all(word in str(caught.value) for word in ("'zipkin'", "'jaeger'", "'http/protobuf'"))


def test_a_variable_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    with pytest.raises(StartError, match="soon") as caught, tracing():
        pass
    assert str(caught.value).startswith("OTEL_*: cannot set up traces: ")


WITHOUT_SDK = """
import sys
sys.modules["opentelemetry.sdk"] = None
from loopbench_server.__main__ import main
main()
"""


def test_traces_without_the_extra_are_refused_in_one_line() -> None:
    command = [sys.executable, "-c", WITHOUT_SDK, "--address", "127.0.0.1:0", "--metrics-address", "none"]
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "console"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert "loopbench's extra 'telemetry'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


IMPORTED = """
import sys
from loopbench_server.app import App
from loopbench_server.telemetry.tracing import tracing
with tracing():
    print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


def test_without_variables_nothing_of_the_sdk_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout == "[]\n"


class Collector(collector_grpc.TraceServiceServicer):
    """Records the received spans."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.metadata: dict[str, str] = {}

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  the service's name
        self.metadata |= dict(context.invocation_metadata())
        self.received.append(request)
        return collector.ExportTraceServiceResponse()


def test_a_collector_gets_all_spans_before_the_server_has_ended(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    received = Collector()
    with threaded_server(partial(collector_grpc.add_TraceServiceServicer_to_server, received)) as address:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{address}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hidden")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
        with tracing() as tracer:
            tracer.start_span("one").end()
        (batch,) = [spans for request in received.received for spans in request.resource_spans]
    resource = {attribute.key: attribute.value.string_value for attribute in batch.resource.attributes}
    assert resource["service.name"] == "ours"
    assert resource["service.version"]
    assert [span.name for scope in batch.scope_spans for span in scope.spans] == ["one"]
    assert received.metadata["authorization"] == "Bearer hidden"
    assert "hidden" not in "".join(capfd.readouterr()) + caplog.text


def test_an_absent_collector_is_only_logged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in (OTLP_NOWHERE | {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}).items():
        monkeypatch.setenv(name, value)
    with tracing() as tracer:
        tracer.start_span("one").end()
    assert "Failed to export traces" in caplog.text
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())
