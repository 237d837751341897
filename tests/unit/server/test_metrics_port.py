"""The metrics port on real connections."""

import socket
import urllib.request
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Gauge

from loopbench_server import bootstrap

LONGEST = 30.0


@pytest.fixture
def address() -> tuple[str, int]:
    registry = CollectorRegistry()
    Gauge("answer", "of all", registry=registry).set(42)
    host, _, port = bootstrap.serve_metrics("127.0.0.1:0", registry).rpartition(":")
    return host, int(port)


@pytest.fixture
def scrape(address: tuple[str, int]) -> Callable[[], str]:
    def get() -> str:
        host, port = address
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=LONGEST) as response:
            return str(response.read().decode())

    return get


def test_metrics_are_served(scrape: Callable[[], str]) -> None:
    assert "answer 42.0" in scrape().splitlines()


def test_silent_scrapers_do_not_delay_others(address: tuple[str, int], scrape: Callable[[], str]) -> None:
    silent = [socket.create_connection(address, timeout=LONGEST) for _ in range(50)]
    assert "answer 42.0" in scrape()
    for connection in silent:
        connection.close()


def test_silent_scrapers_are_disconnected(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bootstrap, "SCRAPE_TIMEOUT_SECONDS", 0.01)
    host, _, port = bootstrap.serve_metrics("127.0.0.1:0", CollectorRegistry()).rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LONGEST) as silent:
        silent.sendall(b"GET /met")
        assert silent.recv(1) == b""
    assert "Traceback" not in capfd.readouterr().err


def test_disconnecting_scrapers_print_nothing(
    address: tuple[str, int], scrape: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        # At most the length of the port's queue; TCP would retry the next connection after a second.
        for _ in range(4):
            with socket.create_connection(address, timeout=LONGEST) as hasty:
                hasty.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert "answer 42.0" in scrape()
    assert "Traceback" not in capfd.readouterr().err
