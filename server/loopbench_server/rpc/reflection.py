"""gRPC's reflection service, as ``grpc.reflection.v1`` and ``v1alpha``. Both versions have the same messages."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_reflection.v1alpha import reflection, reflection_pb2

POOL = descriptor_pool.Default()
V1_FILE = "grpc/reflection/v1/reflection.proto"


def _describe_v1() -> Any:
    """Return the descriptor of the file of v1, which grpcio-reflection lacks, and add it to the pool."""
    alpha = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    text = text_format.MessageToString(alpha).replace("v1alpha", "v1")
    v1 = text_format.Parse(text, descriptor_pb2.FileDescriptorProto())
    v1.name = V1_FILE
    v1.options.ClearField("deprecated")
    POOL.AddSerializedFile(v1.SerializeToString())
    return POOL.FindFileByName(V1_FILE)


# Descriptors of the files of both versions.
FILES = (_describe_v1(), reflection_pb2.DESCRIPTOR)
SERVICES = tuple(file.services_by_name["ServerReflection"].full_name for file in FILES)


class Symbols:
    """The descriptors of this process by name. protobuf's search omits methods, which the service must find."""

    def __getattr__(self, name: str) -> Any:
        return getattr(POOL, name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802  protobuf gives the name
        """Return the file that defines ``symbol``.

        Raises:
            KeyError: no file defines it.
        """
        with suppress(KeyError):
            return POOL.FindFileContainingSymbol(symbol)
        return POOL.FindMethodByName(symbol).containing_service.file


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Serve reflection on ``server``; it lists ``services`` and itself."""
    servicer = reflection.aio.ReflectionServicer((*services, *SERVICES), pool=Symbols())
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods) for service in SERVICES])
