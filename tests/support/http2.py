"""A minimal HTTP/2 client for misbehaviour that gRPC's clients do not allow."""

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
    """The client preface; ``window`` is the number of bytes of each response that the client accepts."""
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
    # Literals without indexing, uncompressed, shorter than 127 bytes.
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
    """Reads the received bytes and answers the server's pings."""
    while select.select([connection], [], [], 0)[0] and (head := connection.recv(9, socket.MSG_WAITALL)):
        kind, flags, _ = struct.unpack(">BBI", head[3:])
        size = int.from_bytes(head[:3])
        payload = connection.recv(size, socket.MSG_WAITALL) if size else b""
        if kind in (SETTINGS, PING) and not flags & ACK:
            connection.sendall(frame(kind, payload if kind == PING else b"", ACK))


def frames(connection: socket.socket) -> Iterator[Frame]:
    """The server's frames until the end of the response."""
    with connection.makefile("rb") as stream:
        while head := stream.read(9):
            kind, flags, number = struct.unpack(">BBI", head[3:])
            yield Frame(kind, flags, number, stream.read(int.from_bytes(head[:3])))
            if number == STREAM and flags & END_STREAM and kind in (DATA, HEADERS):
                return


def messages(connection: socket.socket) -> Iterator[bytes]:
    """The messages of the response until its end."""
    held = b""
    for got in frames(connection):
        if got.kind == DATA:
            held += got.payload
        while len(held) >= 5 and len(held) >= 5 + (size := int.from_bytes(held[1:5])):
            yield held[5 : 5 + size]
            held = held[5 + size :]
