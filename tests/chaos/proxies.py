"""A TCP proxy in front of a server that drops idle connections."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

SAMPLING_SECONDS = 0.05
# Closes both sides like a proxy, or silently forwards nothing more like a firewall.
Way = Literal["close", "silence"]


@dataclass
class IdleProxy:
    """Drops the first ``most`` connections that are silent for ``seconds``."""

    to: str
    seconds: float
    way: Way
    most: int
    drops: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        host, _, port = self.to.rpartition(":")
        with near, socket.create_connection((host, int(port))) as far, suppress(OSError):
            other = {near: far, far: near}
            last = time.monotonic()
            while not self._ended.is_set():
                for side in select.select([near, far], [], [], SAMPLING_SECONDS)[0]:
                    held = side.recv(65_536)
                    if not held:
                        return
                    other[side].sendall(held)
                    last = time.monotonic()
                if time.monotonic() - last > self.seconds and self.drops < self.most:
                    self.drops += 1
                    if self.way == "silence":
                        self._ended.wait()
                    return

    def close(self) -> None:
        self._ended.set()
        # A shutdown ends a waiting accept; a close does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def idle_proxy(to: str, seconds: float, way: Way = "close", most: int = 1) -> Iterator[IdleProxy]:
    """A proxy that serves within the block."""
    proxy = IdleProxy(to, seconds, way, most)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
