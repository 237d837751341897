"""Arbitrary bytes to arbitrary paths of a real server in this process: an invalid call is the caller's error."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from prometheus_client import CollectorRegistry

from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench_server.rpc.reflection import add_reflection
from tests.support.in_process import benchmark_service, catch_status, collect_messages

from .conftest import Serve

SERVICE = "loopbench.v1.BenchmarkService"


@pytest.fixture
async def channel(serve: Serve) -> grpc.aio.Channel:
    return await serve(
        benchmark_service(pb_grpc.BenchmarkServiceServicer()),  # type: ignore[abstract]  # no method is called
        lambda server: health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server),
        lambda server: add_reflection(server, (SERVICE,)),
    )


async def test_a_missing_method_is_unimplemented(channel: Any) -> None:
    error, _ = await catch_status(channel.unary_unary(f"/{HEALTH}/List")(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "a",
        "/a",
        f"/{SERVICE}",
        f"/{SERVICE}/",
        f"/{SERVICE}/GetRun/",
        f"/{SERVICE}/GetRun/x",
        "/" * 5_000,
    ],
)
async def test_a_path_that_names_no_method_is_unimplemented(channel: Any, path: str) -> None:
    error, _ = await catch_status(channel.unary_unary(path)(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def stream_bytes(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


HEALTH, REFLECTION = "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"
# A method of each kind, of each service.
METHODS = {
    f"/{SERVICE}/GetRun": "unary",
    f"/{SERVICE}/WatchRun": "server_stream",
    f"/{HEALTH}/Check": "unary",
    f"/{HEALTH}/Watch": "server_stream",
    f"/{REFLECTION}/ServerReflectionInfo": "bidi_stream",
}


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05abc", b"\x0a\x02\xc3\x28"], ids=["bytes", "cut off", "no UTF-8"])
@pytest.mark.parametrize("path", METHODS)
async def test_invalid_bytes_are_the_callers_error(
    channel: Any, registry: CollectorRegistry, eventually: Any, path: str, raw: bytes
) -> None:
    error, status = await catch_status(collect_messages(channel.stream_stream(path)(stream_bytes(raw))))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = BadRequest()
    assert status.details[0].Unpack(bad)
    assert [violation.field for violation in bad.field_violations] == ["request"]
    _, service, name = path.split("/")
    labels = {"grpc_type": METHODS[path], "grpc_service": service, "grpc_method": name, "grpc_code": "InvalidArgument"}
    await eventually(lambda: registry.get_sample_value("grpc_server_handled_total", labels) == 1)


@pytest.mark.parametrize("path", [path for path, kind in METHODS.items() if kind != "bidi_stream"])
async def test_a_call_without_a_message_does_not_hang(channel: Any, path: str) -> None:
    error, status = await catch_status(collect_messages(channel.stream_stream(path)(stream_bytes())))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "no message" in status.message


async def test_the_health_of_a_service_can_be_watched(channel: Any) -> None:
    watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="other"))
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    assert watching.cancel()


async def test_a_stream_of_requests_is_answered_one_by_one(channel: Any) -> None:
    asked = [reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()] * 2
    answers = await collect_messages(channel.stream_stream(f"/{REFLECTION}/ServerReflectionInfo")(stream_bytes(*asked)))
    assert [SERVICE.encode() in answer for answer in answers] == [True, True]
