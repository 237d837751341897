"""A server takes no address that another program uses."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from loopbench_server.bootstrap import serve_metrics
from loopbench_server.errors import StartError
from loopbench_server.listening import check_free
from loopbench_server.rpc.health import Health
from loopbench_server.rpc.server import health_server

# An address for documents, which no machine has.
ELSEWHERE = "192.0.2.1"
Names = Callable[..., None]


@pytest.fixture
def port() -> Iterator[int]:
    """A port of 127.0.0.1 on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Lets every name stand for these hosts."""
    real = socket.getaddrinfo

    def stand_for(*hosts: str) -> None:
        def resolve(_: str, *arguments: Any, **options: Any) -> Any:
            return [found for host in hosts for found in real(host, *arguments, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    return stand_for


async def is_served(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture
def health() -> Health:
    made = Health()
    made.set("", health_pb2.HealthCheckResponse.SERVING)
    return made


async def test_a_second_server_does_not_take_a_socket(health: Health, tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'a b.sock'}"
    async with health_server(address, health, ()):
        with pytest.raises(StartError, match="sock: Address already in use"):
            async with health_server(address, Health(), ()):
                pass
        assert await is_served(address)


def test_a_server_with_a_full_queue_keeps_its_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "busy.sock")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(OSError, match="Address already in use"):
            check_free(f"unix:{path}")


async def test_the_socket_of_a_killed_server_is_replaced(health: Health, tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    assert path.is_socket()
    async with health_server(f"unix:{path}", health, ()) as address:
        assert await is_served(address)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("missing/a.sock", "folder missing"),
        ("file", "is it taken"),
        (100 * "x", "AF_UNIX path too long"),
        ("file/a.sock", os.strerror(errno.ENOTDIR)),
    ],
)
async def test_an_unusable_path_is_an_error(health: Health, tmp_path: Path, path: str, cause: str) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(StartError, match=cause):
        async with health_server(f"unix:{tmp_path / path}", health, ()):
            pass
    assert file.read_text() == "precious"


@pytest.mark.parametrize("hosts", [("::1", "127.0.0.1"), ("127.0.0.1", "::1"), (ELSEWHERE, "127.0.0.1")])
async def test_every_address_of_a_name_has_to_be_free(
    health: Health, port: int, names: Names, hosts: tuple[str, ...]
) -> None:
    names(*hosts)
    with pytest.raises(StartError, match=f"localhost:{port}: Address already in use"):
        async with health_server(f"localhost:{port}", health, ()):
            pass
    with pytest.raises(StartError, match=f"localhost:{port}: Address already in use"):
        serve_metrics(f"localhost:{port}", CollectorRegistry())


def test_addresses_of_other_machines_do_not_count(names: Names) -> None:
    names(ELSEWHERE, "127.0.0.1")
    check_free("localhost:0")
    names(ELSEWHERE)
    with pytest.raises(OSError, match=os.strerror(errno.EADDRNOTAVAIL)):
        check_free("localhost:0")


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "127.0.0.1"])  # noqa: S104  it cannot be bound
def test_a_port_in_use_is_not_free(port: int, host: str) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        check_free(f"{host}:{port}")


def test_a_port_is_free_after_its_server_has_closed_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # it is the first to close, and the system keeps the connection for a while
    check_free(f"127.0.0.1:{port}")


def test_a_wrong_name_is_an_error() -> None:
    for name in ("no..host", "nohost.invalid"):
        with pytest.raises(OSError, match=r"not a host name|Name or service not known|Temporary failure"):
            check_free(f"{name}:0")
