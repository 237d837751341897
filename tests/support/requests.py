"""The requests of the service as their descriptors describe them."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from loopbench.v1 import benchmark_service_pb2
from loopbench.wire import is_map

SERVICE = benchmark_service_pb2.DESCRIPTOR.services_by_name["BenchmarkService"]
REQUESTS: dict[str, Descriptor] = {method.name: method.input_type for method in SERVICE.methods}

FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
# Smallest and largest values on the wire.
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}

Path = tuple[FieldDescriptor, ...]


def empty_message(descriptor: Descriptor) -> Any:
    """An empty message of the type."""
    return GetMessageClass(descriptor)()


def leaves(descriptor: Descriptor) -> Iterator[Path]:
    """The paths of all scalar fields, nested ones included."""
    for field in descriptor.fields:
        if field.message_type is None or is_map(field):
            yield (field,)
        else:
            yield from ((field, *below) for below in leaves(field.message_type))


def format_path(path: Path) -> str:
    """The field's path as in errors: names, and the index 0 within lists; a time is one field."""
    names = []
    for field in path:
        names += [field.name, "0"] if field.is_repeated and not is_map(field) else [field.name]
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
            break
    return ".".join(names)


def with_value(descriptor: Descriptor, path: Path, value: Any) -> Any:
    """A request with only ``value`` at the end of ``path``."""
    root, message = _with_messages(descriptor, path[:-1])
    if is_map(path[-1]):
        getattr(message, path[-1].name)["key"] = value
    elif path[-1].is_repeated:
        getattr(message, path[-1].name).append(value)
    else:
        setattr(message, path[-1].name, value)
    return root


def with_list(descriptor: Descriptor, path: Path) -> tuple[Any, Any]:
    """A request and its list at the end of ``path``."""
    root, message = _with_messages(descriptor, path[:-1])
    return root, getattr(message, path[-1].name)


def _with_messages(descriptor: Descriptor, path: Path) -> tuple[Any, Any]:
    root = message = empty_message(descriptor)
    for field in path:
        held = getattr(message, field.name)
        message = held.add() if field.is_repeated else held
        message.SetInParent()
    return root, message


def exists(descriptor: Descriptor, path: str) -> bool:
    """Whether ``path``, as an error names a field, leads to one of ``descriptor``."""
    message: Descriptor | None = descriptor
    previous: FieldDescriptor | None = None
    for name in path.split("."):
        if previous is not None and previous.is_repeated and name.isdecimal():
            previous = None
            continue
        if message is None or name not in message.fields_by_name:
            return False
        previous = message.fields_by_name[name]
        message = previous.message_type
    return True
