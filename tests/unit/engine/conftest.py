"""The engine in this process; TensorFlow reads its number of threads once, at its start."""

import os
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from loopbench.spec import Dataset, Device, Method, RunSpec
from loopbench_server.engine import data
from loopbench_server.engine.devices import choose_device

THREADS = 1
# Devices that a test may request.
REPLICAS = 2


@pytest.fixture(scope="session", autouse=True)
def _device() -> None:
    choose_device([RunSpec(device=Device.CPU, method=Method.FIT, replicas=REPLICAS)], THREADS)


@pytest.fixture(scope="session")
def digits() -> data.Data:
    return data.load(Dataset.DIGITS, None)


class Web:
    """Answers every request with ``status``, ``headers`` and ``chunks`` until the client disconnects."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.chunks: Iterable[bytes] = ()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(web.status)
                for name, value in web.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for chunk in web.chunks:
                        self.wfile.write(chunk)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/file"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server on loopback whose answers a test sets; no proxy is used."""
    monkeypatch.setenv("no_proxy", "*")
    made = Web()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()
