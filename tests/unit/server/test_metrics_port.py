"""The port of the metrics, on real connections."""

import socket
import urllib.request
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Gauge

from loopbench_server.telemetry import metrics_port
from loopbench_server.telemetry.metrics_port import MetricsServer

LONGEST = 30.0


@pytest.fixture
def address() -> tuple[str, int]:
    registry = CollectorRegistry()
    Gauge("answer", "of all", registry=registry).set(42)
    return "127.0.0.1", MetricsServer("127.0.0.1", 0, registry).port


@pytest.fixture
def scrape(address: tuple[str, int]) -> Callable[[], str]:
    def get() -> str:
        host, port = address
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=LONGEST) as response:
            return str(response.read().decode())

    return get


def test_metrics_are_served(scrape: Callable[[], str]) -> None:
    assert "answer 42.0" in scrape().splitlines()


def test_scrapers_that_never_ask_give_way(
    address: tuple[str, int], scrape: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_port, "SCRAPERS", 3)
    silent = [socket.create_connection(address, timeout=LONGEST) for _ in range(5)]
    for _ in range(5):
        assert "answer 42.0" in scrape()
    # Five scrapes, one after another, have taken the place of all but two at most.
    assert [connection.recv(1) for connection in silent[:3]] == [b""] * 3
    for connection in silent:
        connection.close()


def test_who_says_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port, "SECONDS_OF_SILENCE", 0.01)
    server = MetricsServer("127.0.0.1", 0, CollectorRegistry())
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONGEST) as silent:
        silent.sendall(b"GET /met")
        assert silent.recv(1) == b""


def test_scrapers_that_break_off_print_nothing(
    address: tuple[str, int], scrape: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        # No more than fit into the port's queue; TCP would try the next one again only after a second.
        for _ in range(4):
            with socket.create_connection(address, timeout=LONGEST) as hasty:
                hasty.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert "answer 42.0" in scrape()
    assert "Traceback" not in capfd.readouterr().err
