"""Reflection describes every service and symbol, in both versions of its protocol."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2

from loopbench.v1 import analysis_pb2, benchmark_service_pb2, run_pb2
from loopbench_server.rpc import reflection
from tests.support.in_process import collect_messages

from .conftest import Serve

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
SERVICE = "loopbench.v1.BenchmarkService"
VERSIONS = dict(zip(NAMES, reflection.FILES, strict=True))


@pytest.fixture
async def channel(serve: Serve) -> grpc.aio.Channel:
    return await serve(lambda server: reflection.add_reflection(server, (SERVICE,)))


async def ask(channel: Any, version: str, *requests: dict[str, str]) -> list[Any]:
    """Ask with the messages of the version itself, as its clients do."""
    messages = {name: GetMessageClass(message) for name, message in VERSIONS[version].message_types_by_name.items()}

    async def sent() -> AsyncIterator[bytes]:
        for request in requests:
            yield messages["ServerReflectionRequest"](**request).SerializeToString()

    answers = await collect_messages(channel.stream_stream(f"/{version}/ServerReflectionInfo")(sent()))
    return [messages["ServerReflectionResponse"].FromString(answer) for answer in answers]


def symbols(file: FileDescriptorProto) -> Iterator[str]:
    """Every name that a .proto file defines, as the language defines them."""
    for service in file.service:
        yield service.name
        yield from (f"{service.name}.{method.name}" for method in service.method)
    for enum in file.enum_type:
        yield from enum_symbols(enum)
    for message in file.message_type:
        yield from message_symbols(message)


def enum_symbols(enum: EnumDescriptorProto) -> Iterator[str]:
    yield enum.name
    yield from (value.name for value in enum.value)  # siblings of the enum


def message_symbols(message: DescriptorProto) -> Iterator[str]:
    yield message.name
    yield from (f"{message.name}.{part.name}" for parts in (message.field, message.oneof_decl) for part in parts)
    yield from (f"{message.name}.{name}" for enum in message.enum_type for name in enum_symbols(enum))
    yield from (f"{message.name}.{name}" for nested in message.nested_type for name in message_symbols(nested))


@pytest.mark.parametrize("version", NAMES)
async def test_all_services_are_listed(channel: grpc.aio.Channel, version: str) -> None:
    (answer,) = await ask(channel, version, {"list_services": ""})
    assert {service.name for service in answer.list_services_response.service} == {SERVICE, *NAMES}


@pytest.mark.parametrize("version", NAMES)
async def test_every_symbol_is_found(channel: grpc.aio.Channel, version: str) -> None:
    own = (benchmark_service_pb2, run_pb2, analysis_pb2, health_pb2)
    expected: dict[str, str] = {}
    for described in (*(module.DESCRIPTOR for module in own), *VERSIONS.values()):
        file = FileDescriptorProto.FromString(described.serialized_pb)
        expected |= {f"{file.package}.{name}": file.name for name in symbols(file)}
    assert {f"{SERVICE}.Train", "grpc.health.v1.Health.Check", f"{version}.ServerReflectionInfo"} <= expected.keys()
    answers = await ask(channel, version, *({"file_containing_symbol": symbol} for symbol in expected))
    found = {
        answer.original_request.file_containing_symbol: FileDescriptorProto.FromString(
            answer.file_descriptor_response.file_descriptor_proto[0]
        ).name
        for answer in answers
        if answer.HasField("file_descriptor_response")
    }
    assert found == expected


@pytest.mark.parametrize("version", NAMES)
@pytest.mark.parametrize("symbol", [f"{SERVICE}.Missing", "Train", "loopbench.v1.Run.Train", "", "\0"])
async def test_an_unknown_symbol_is_not_found(channel: grpc.aio.Channel, version: str, symbol: str) -> None:
    (answer,) = await ask(channel, version, {"file_containing_symbol": symbol})
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_both_versions_have_the_same_messages() -> None:
    v1, alpha = (FileDescriptorProto.FromString(VERSIONS[name].serialized_pb) for name in NAMES)
    assert (v1.name, v1.package) == ("grpc/reflection/v1/reflection.proto", "grpc.reflection.v1")
    assert [message.name for message in v1.message_type] == [message.name for message in alpha.message_type]
    assert b"alpha" not in v1.SerializeToString()
    assert (v1.options.deprecated, alpha.options.deprecated) == (False, True)
