"""As much of HTTP/2 as it takes to misbehave: what gRPC's own clients would not let a test do."""

import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW_SIZE = 4
STREAM = 1
LARGEST_WINDOW = 2**31 - 1


@dataclass(frozen=True)
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload


def hello(window: int | None = None) -> bytes:
    """What a client says first; ``window`` is how many bytes of each answer it is ready to take."""
    settings = b"" if window is None else struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
    return PREFACE + frame(SETTINGS, settings)


def request(path: str, message: bytes, **metadata: str) -> bytes:
    """A call with its one message, and ``metadata`` beside the usual headers."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        **metadata,
    }
    # Each as a literal without indexing, uncompressed; all are shorter than 127 bytes.
    block = b"".join(
        bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in headers.items()
    )
    held = b"\0" + len(message).to_bytes(4) + message
    return frame(HEADERS, block, END_HEADERS, STREAM) + frame(DATA, held, END_STREAM, STREAM)


def open_window() -> bytes:
    """Lets the server send the rest of the answer."""
    more = LARGEST_WINDOW - 65_535
    return b"".join(frame(WINDOW_UPDATE, more.to_bytes(4), stream=stream) for stream in (0, STREAM))


def stay(connection: socket.socket) -> None:
    """Reads what has come so far, and answers what the server wants answered of a client that is still there."""
    while select.select([connection], [], [], 0)[0] and (head := connection.recv(9, socket.MSG_WAITALL)):
        kind, flags, _ = struct.unpack(">BBI", head[3:])
        size = int.from_bytes(head[:3])
        payload = connection.recv(size, socket.MSG_WAITALL) if size else b""
        if kind in (SETTINGS, PING) and not flags & ACK:
            connection.sendall(frame(kind, payload if kind == PING else b"", ACK))


def frames(connection: socket.socket) -> Iterator[Frame]:
    """What the server sends, to the end of the answer."""
    with connection.makefile("rb") as stream:
        while head := stream.read(9):
            kind, flags, number = struct.unpack(">BBI", head[3:])
            yield Frame(kind, flags, number, stream.read(int.from_bytes(head[:3])))
            if number == STREAM and flags & END_STREAM and kind in (DATA, HEADERS):
                return


def messages(connection: socket.socket) -> Iterator[bytes]:
    """The messages of the answer, to its end."""
    held = b""
    for got in frames(connection):
        if got.kind == DATA:
            held += got.payload
        while len(held) >= 5 and len(held) >= 5 + (size := int.from_bytes(held[1:5])):
            yield held[5 : 5 + size]
            held = held[5 + size :]
