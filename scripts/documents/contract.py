"""The contents of the ``.proto`` files with their comments."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from scripts.documents.rendering import ROOT

PROTO = ROOT / "proto"
# The first file is the one that people begin with.
FILES = tuple(f"loopbench/v1/{name}.proto" for name in ("benchmark_service", "run", "analysis"))

# Numbers by which descriptor.proto keeps the place of a comment: https://protobuf.com/docs/descriptors
SYNTAX, FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 12, 4, 5, 6
SERVICE_METHOD, MESSAGE_FIELD, MESSAGE_ONEOF, ENUM_VALUE = 2, 2, 8, 2

Comments = Mapping[tuple[int, ...], str]


@dataclass(frozen=True)
class Field:
    """A field, the name of its type, and what stands before that: optional, repeated, or the oneof it belongs to."""

    name: str
    type: str
    label: str
    comment: str


@dataclass(frozen=True)
class Message:
    """A message; ``oneofs`` are names with comments."""

    name: str
    comment: str
    oneofs: Mapping[str, str]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Enum:
    """An enum; ``values`` are names with numbers and comments."""

    name: str
    comment: str
    values: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class Method:
    """A call; ``stream`` says that it answers with a stream."""

    name: str
    path: str
    request: str
    response: str
    stream: bool
    comment: str


@dataclass(frozen=True)
class File:
    """A file of the contract."""

    name: str
    comment: str
    services: Mapping[str, tuple[str, tuple[Method, ...]]]
    messages: tuple[Message, ...]
    enums: tuple[Enum, ...]


def contract() -> tuple[File, ...]:
    """All files."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "descriptors"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", "--include_source_info"]
        command += [f"--descriptor_set_out={target}", *FILES]
        subprocess.run(command, check=True)  # noqa: S603  # nosec B603  # a fixed command
        described = FileDescriptorSet.FromString(target.read_bytes())
    by_name = {file.name: file for file in described.file}
    return tuple(_file(by_name[name]) for name in FILES)


def _file(file: FileDescriptorProto) -> File:
    comments = {tuple(at.path): _text(at.leading_comments) for at in file.source_code_info.location}
    services = {
        f"{file.package}.{service.name}": (
            comments[FILE_SERVICE, index],
            tuple(
                _method(method, f"{file.package}.{service.name}", comments[FILE_SERVICE, index, SERVICE_METHOD, place])
                for place, method in enumerate(service.method)
            ),
        )
        for index, service in enumerate(file.service)
    }
    messages = (_message(message, comments, (FILE_MESSAGE, at)) for at, message in enumerate(file.message_type))
    enums = (_enum(enum, comments, (FILE_ENUM, at)) for at, enum in enumerate(file.enum_type))
    return File(Path(file.name).name, comments[SYNTAX,], services, tuple(messages), tuple(enums))


def _text(comment: str) -> str:
    """Paragraphs without their line breaks, with an empty line between them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", comment)).strip()


def _short(type_name: str) -> str:
    return type_name.removeprefix(".").removeprefix("loopbench.v1.")


def _method(method: MethodDescriptorProto, service: str, comment: str) -> Method:
    request, response = _short(method.input_type), _short(method.output_type)
    return Method(method.name, f"/{service}/{method.name}", request, response, method.server_streaming, comment)


def _message(message: DescriptorProto, comments: Comments, path: tuple[int, ...]) -> Message:
    # protoc makes a oneof of every optional scalar, behind those that were written.
    written = {field.oneof_index for field in message.field if _in_oneof(field)}
    oneofs = {message.oneof_decl[at].name: comments[*path, MESSAGE_ONEOF, at] for at in sorted(written)}
    fields = (
        Field(field.name, _type(field, message), _label(field, message), comments[*path, MESSAGE_FIELD, at])
        for at, field in enumerate(message.field)
    )
    return Message(message.name, comments[path], oneofs, tuple(fields))


def _in_oneof(field: FieldDescriptorProto) -> bool:
    return field.HasField("oneof_index") and not field.proto3_optional


def _entry(field: FieldDescriptorProto, message: DescriptorProto) -> DescriptorProto | None:
    """The nested message that a map is made of on the wire."""
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    return entries.get(field.type_name.rpartition(".")[2])


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    if entry := _entry(field, message):
        return "map<{}, {}>".format(*(_type(part, entry) for part in entry.field))
    return _short(field.type_name) or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _label(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    if _in_oneof(field):
        return message.oneof_decl[field.oneof_index].name
    if field.proto3_optional:
        return "optional"
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED and not _entry(field, message)
    return "repeated" if repeated else ""


def _enum(enum: EnumDescriptorProto, comments: Comments, path: tuple[int, ...]) -> Enum:
    values = ((value.name, value.number, comments[*path, ENUM_VALUE, index]) for index, value in enumerate(enum.value))
    return Enum(enum.name, comments[path], tuple(values))
