"""Silent, slow, half-open, aborted and non-reading connections: the server stays responsive and leaks nothing."""

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench import wire
from loopbench.spec import Dataset, Run, RunSpec, RunState
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1.benchmark_service_pb2_grpc import BenchmarkServiceStub
from loopbench_client import Client
from loopbench_server.blocking import RESERVED_THREADS
from loopbench_server.store.database import MAX_CONNECTIONS
from tests.support import http2
from tests.support.servers import TIMEOUT_SECONDS, ServerProcess, eventually

pytestmark = pytest.mark.slow

SERVICE = "/loopbench.v1.BenchmarkService"
INFO = http2.hello() + http2.request(f"{SERVICE}/GetServerInfo", b"")
THREADS_FOR_PROCESSES = 20
# The server keeps two by default, one per slot.
STANDBY_WORKERS = 2
CONNECTIONS, CANCELLED, WATCHERS, EPOCHS = 200, 300, 200, 1_000
# A connection opens the file and its log; all share one index of the log. SQLite closes the file of a connection late
# if others hold locks, and reuses it.
MAX_STORE_FILES = 2 * (MAX_CONNECTIONS + RESERVED_THREADS) + 1
# The server pings after 30 s and waits 10 s for a response.
SECONDS_OF_SILENCE = 4.0
# Closes the connection by a reset without waiting.
ABORT = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def trained(server: ServerProcess) -> Run:
    with server.client() as client:
        return client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1))


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)


@contextmanager
def _held(address: str, sent: bytes) -> Iterator[None]:
    """Many connections that send some bytes and then stay silent."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(connect(address)).sendall(sent)
        yield


@contextmanager
def _slow(address: str) -> Iterator[None]:
    """A request that arrives byte by byte and is answered at its end."""
    with connect(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sending = threading.Thread(target=_dribble, args=(connection, INFO))
        sending.start()
        yield
        sending.join()
        (answer,) = http2.messages(connection)
        assert pb.ServerInfo.FromString(answer).ready


def _dribble(connection: socket.socket, sent: bytes) -> None:
    for byte in sent:
        connection.sendall(bytes([byte]))
        time.sleep(0.003)


@contextmanager
def _aborted(address: str) -> Iterator[None]:
    """Connections that are reset at every position within a request."""
    for number in range(CONNECTIONS):
        with connect(address) as connection:
            connection.sendall(INFO[: 1 + number * len(INFO) // CONNECTIONS])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    yield


@contextmanager
def _cancelled(address: str) -> Iterator[None]:
    """Calls that are cancelled at random moments."""
    moments = random.Random(0)  # noqa: S311  moments are no secrets
    spec = wire.spec_to_wire(RunSpec(dataset=Dataset.DIGITS, epochs=3))
    with grpc.insecure_channel(address) as channel:
        stub: Any = BenchmarkServiceStub(channel)
        kinds: list[Callable[[], Any]] = [
            lambda: stub.Train.future(pb.TrainRequest(spec=spec)),
            lambda: stub.ListRuns.future(pb.ListRunsRequest()),
            lambda: stub.Evaluate.future(pb.EvaluateRequest(spec=spec)),
            lambda: stub.GetServerInfo.future(pb.GetServerInfoRequest()),
        ]
        for _ in range(CANCELLED):
            call = moments.choice(kinds)()
            time.sleep(moments.choice([0, moments.uniform(0, 0.03)]))
            call.cancel()
        yield


@contextmanager
def _bomb(address: str) -> Iterator[None]:
    """A request of 64 MiB, compressed to 64 KiB."""
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"{SERVICE}/GetRun")
        with pytest.raises(grpc.RpcError) as caught:
            call(bytes(64 << 20), compression=grpc.Compression.Gzip, timeout=TIMEOUT_SECONDS)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    yield


TROUBLES: dict[str, Callable[[str], Any]] = {
    "connections that say nothing": lambda address: _held(address, b""),
    "half a preface": lambda address: _held(address, http2.PREFACE[:10]),
    "settings and no call": lambda address: _held(address, http2.hello()),
    "half a request": lambda address: _held(address, INFO[:-3]),
    "a request byte by byte": _slow,
    "requests cut off": _aborted,
    "cancelled calls": _cancelled,
    "a compressed bomb": _bomb,
}


def is_responsive(address: str, run: Run) -> bool:
    """Checks that the server answers a new caller."""
    with grpc.insecure_channel(address) as channel, Client(address) as client:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        return bool(health.status == health_pb2.HealthCheckResponse.SERVING and client.get_run(run.id) == run)


def held_by(server: ServerProcess) -> tuple[int, int]:
    """Open files and threads of the server, without the files of its store connections."""
    files = open_files(server)
    return len(files) - store_files(files), psutil.Process(server.process.pid).num_threads()


def open_files(server: ServerProcess) -> list[str]:
    opened = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            opened.append(link.readlink().name)
    return opened


def store_files(files: list[str]) -> int:
    return sum(name.startswith("runs.db") for name in files)


def all_threads_and_connections_made(server: ServerProcess, run: Run) -> None:
    """Makes the server create all the threads and store connections that it creates lazily."""
    with grpc.insecure_channel(server.address) as channel:
        stub: Any = BenchmarkServiceStub(channel)
        for call in [stub.GetRun.future(pb.GetRunRequest(run_id=run.id)) for _ in range(500)]:
            call.result(timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_server_stays_responsive_and_leaks_nothing(server: ServerProcess, trained: Run, trouble: str) -> None:
    all_threads_and_connections_made(server, trained)
    eventually(lambda: len(server.standby_workers()) == STANDBY_WORKERS)
    files, threads = held_by(server)
    with TROUBLES[trouble](server.address):
        assert is_responsive(server.address, trained)
    assert is_responsive(server.address, trained)
    eventually(lambda: not server.workers())
    eventually(lambda: held_by(server)[0] <= files)
    eventually(lambda: store_files(open_files(server)) <= MAX_STORE_FILES)
    # Threads for processes are created with concurrency and kept; there are far fewer than calls.
    eventually(lambda: held_by(server)[1] <= threads + THREADS_FOR_PROCESSES)
    assert server.faults() == []


def test_silent_connections_are_closed(server: ServerProcess, trained: Run) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(server.address)) for _ in range(CONNECTIONS)]
        # Until the server closes it.
        said = [list(http2.frames(connection)) for connection in silent]
        assert len(said) == CONNECTIONS
        assert is_responsive(server.address, trained)


def rss(server: ServerProcess) -> int:
    """Bytes in memory."""
    return int(psutil.Process(server.process.pid).memory_info().rss)


def test_watchers_that_do_not_read_use_no_memory(server: ServerProcess, client: Client) -> None:
    run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=EPOCHS), detach=True)
    files, _ = held_by(server)
    watch = http2.request(f"{SERVICE}/WatchRun", pb.WatchRunRequest(run_id=run.id).SerializeToString())
    memory: list[int] = []
    with ExitStack() as stack:
        watchers = [stack.enter_context(connect(server.address)) for _ in range(WATCHERS)]
        for watcher in watchers:
            watcher.sendall(http2.hello(window=0) + watch)
        heard = time.monotonic()
        for event in client.watch_run(run.id):
            for record in event.epochs:
                assert record.epoch == len(memory) + 1
                memory.append(rss(server))
                if time.monotonic() > heard + SECONDS_OF_SILENCE:
                    # They read nothing of the response. The server closes a connection without any sign of life.
                    heard = time.monotonic()
                    for watcher in watchers:
                        http2.stay(watcher)
        assert len(memory) == EPOCHS
        early, late = max(memory[: EPOCHS // 5]), max(memory)
        # A watcher's unsent events are about 80 kB of epochs, and more of progress. The run's 2 MB exist once.
        assert late - early < WATCHERS * 80_000 // 2
        # Late readers miss no epoch and receive the end of the run.
        for watcher in watchers[:3]:
            watcher.sendall(http2.open_window())
            events = [pb.WatchRunResponse.FromString(message) for message in http2.messages(watcher)]
            assert [record.epoch for event in events for record in event.epochs] == list(range(1, EPOCHS + 1))
            assert wire.run_from_wire(events[-1].run).state is RunState.SUCCEEDED
    # Some more database connections remain, which the pool keeps.
    eventually(lambda: held_by(server)[0] < files + WATCHERS // 2)
    assert is_responsive(server.address, client.get_run(run.id))
    assert server.faults() == []
