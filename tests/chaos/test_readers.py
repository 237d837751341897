"""A flood of reads ends no runs, exhausts no memory and delays no probes."""

import asyncio
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from loopbench.spec import Dataset, Execution, RunSpec, RunState
from loopbench_client import Client
from tests.chaos.databases import DATABASES
from tests.chaos.floods import PAGE, SERVICE, fill, readers, tokens
from tests.chaos.server_under_test import ServerUnderTest
from tests.support import http2
from tests.support.postgresql import free_port
from tests.support.servers import ServerProcess, Start, eventually

pytestmark = pytest.mark.slow

STORED = 2_000
# One and a half times a server's limit.
MEGABYTES = 180
CALLS = 400
# Long enough that a lease expires if the server does not renew it.
LEASE, SECONDS = "5", 12.0
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
SECONDS_TO_READY = 180.0
# A server, its forkserver and a worker have about thirty threads together.
THREADS = 40
# Without any processes outside the test.
USER = 54321


@pytest.fixture
def servers(tmp_path: Path, store_url: str) -> Iterator[list[tuple[ServerUnderTest, str]]]:
    """Two servers on one store, each with its health address."""
    fill(store_url, STORED)
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            health = f"127.0.0.1:{free_port()}"
            flags = ("--tokens-file", tokens(folder), "--health-address", health, "--lease-seconds", LEASE)
            server = ServerUnderTest(folder, store_url, *flags, "--drain-seconds", "0")
            server.start()
            stack.callback(server.stop)
            with Client(server.address, token="alice") as client:  # noqa: S106  a token of this test
                client.wait_ready(SECONDS_TO_READY)
            made.append((server, health))
        yield made


@pytest.mark.parametrize("kind", DATABASES)
def test_a_reader_does_not_end_the_runs_of_others(servers: list[tuple[ServerUnderTest, str]], kind: str) -> None:
    (server, health), (other, _) = servers
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    with Client(server.address, token="alice") as client:  # noqa: S106  a token of this test
        run = client.train(LONG, detach=True)
        while client.get_run(run.id).state is not RunState.RUNNING:
            time.sleep(0.1)
        seen = asyncio.run(readers(process, server.address, health, CALLS, SECONDS))
        with Client(other.address, token="alice") as there:  # noqa: S106  a token of this test
            state = there.get_run(run.id).state
        client.cancel_run(run.id)
    figures = {
        "kind": kind,
        "calls": CALLS,
        "pages_a_minute": round(60 * seen.pages / SECONDS),
        "cpu_seconds_a_page": round(seen.seconds_of_cpu / max(1, seen.pages), 3),
        "megabytes": round(seen.megabytes),
        "slowest_probe_seconds": round(max(seen.probes), 3),
        "slowest_read_seconds": round(max(seen.reads), 3),
        "refused": dict(seen.refused),
    }
    print(json.dumps(figures))
    assert state is RunState.RUNNING
    assert "run ended because its server vanished" not in other.log
    assert seen.pages
    assert seen.megabytes < MEGABYTES
    assert not seen.refused


# Enough callers to use all slots of ListRuns, two each.
SLOW_READERS, CALLS_EACH = 8, 2


def test_readers_that_take_no_answers_leave_room_for_others(tmp_path: Path, start: Start) -> None:
    names = ["alice", *(f"reader{number}" for number in range(SLOW_READERS))]
    file = tmp_path / "tokens"
    file.write_text("".join(f"{name} read {hashlib.sha256(name.encode()).hexdigest()}\n" for name in names))
    fill(f"sqlite:///{tmp_path / 'runs.db'}", 300)
    server = start("--tokens-file", str(file), "--metrics-address", "127.0.0.1:0")
    host, _, port = server.address.rpartition(":")
    with ExitStack() as stack:
        for name in names[1:] * CALLS_EACH:
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            call = http2.request(f"{SERVICE}/ListRuns", PAGE, authorization=f"Bearer {name}")
            # The caller's receive window is full.
            connection.sendall(http2.hello(window=0) + call)
        eventually(lambda: in_progress(server) == SLOW_READERS * CALLS_EACH)
        with Client(server.address, token="alice", timeout=60) as client:  # noqa: S106  a token of this test
            assert len([*client.list_runs(page_size=1_000)]) == 300
        assert in_progress(server) == SLOW_READERS * CALLS_EACH


def in_progress(server: ServerProcess) -> int:
    """Number of ListRuns calls in progress at the server."""
    lines = [line for line in server.metrics() if '"ListRuns"' in line]
    begun, ended = (
        sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
        for name in ("grpc_server_started_total", "grpc_server_handled_total")
    )
    return int(begun - ended)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can access."""
    with TemporaryDirectory(prefix="loopbench-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def confined(command: list[str]) -> list[str]:
    """The command under a user with a low thread limit and access to this checkout; root has no such limit."""
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*user, *reading, "prlimit", f"--nproc={THREADS}", *command]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become a user without other processes")
def test_a_thread_limit_ends_neither_the_server_nor_a_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{folder / 'runs.db'}"
    fill(url, STORED)
    health = f"127.0.0.1:{free_port()}"
    flags = ("--tokens-file", tokens(folder), "--health-address", health, "--slots", "1", "--drain-seconds", "0")
    server = ServerUnderTest(folder, url, *flags)
    server._command = confined(server._command)
    for path in (folder, *folder.iterdir()):
        os.chown(path, USER, USER)
    for name in ("HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(folder))
    server.start()
    try:
        with Client(server.address, token="alice") as client:  # noqa: S106  a token of this test
            client.wait_ready(SECONDS_TO_READY)
            run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.GRAPH), detach=True)
            assert server.process is not None
            process = psutil.Process(server.process.pid)
            for _ in range(3):
                asyncio.run(readers(process, server.address, health, 300, 2.0))
            assert client.get_run(run.id).state in (RunState.RUNNING, RunState.SUCCEEDED)
            client.cancel_run(run.id)
            assert client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1)).state is RunState.SUCCEEDED
        assert "start new thread" not in server.log
    finally:
        assert server.stop() == 0
