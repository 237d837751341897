"""A stopped or killed forkserver: runs continue, and the server ends on SIGTERM."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from loopbench.spec import Dataset, Execution, RunSpec, RunState
from loopbench_client import Client
from tests.chaos.server_under_test import ServerUnderTest, server_under_test

pytestmark = pytest.mark.slow

SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
DRAIN_SECONDS = 3
# Seconds beyond the drain time that the documentation allows after SIGTERM.
END_SECONDS = 10


FLAGS = ("--slots", "2", "--drain-seconds", str(DRAIN_SECONDS), "--run-seconds", "60")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    """A server that the test ends."""
    with server_under_test(tmp_path, f"sqlite:///{tmp_path / 'runs.db'}", *FLAGS) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    """One server for all tests that do not stop it."""
    folder = tmp_path_factory.mktemp("server")
    with server_under_test(folder, f"sqlite:///{folder / 'runs.db'}", *FLAGS) as made:
        yield made


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        if process.is_running():
            process.send_signal(signal.SIGCONT)


def find_forkserver(server: ServerUnderTest) -> psutil.Process:
    (process,) = server.forkserver()
    return process


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def seconds_to_stop(server: ServerUnderTest) -> float:
    assert server.process is not None
    start = time.monotonic()
    server.process.terminate()
    server.process.communicate(timeout=DRAIN_SECONDS + END_SECONDS)
    return time.monotonic() - start


@pytest.mark.parametrize("harm", [signal.SIGSTOP, signal.SIGKILL])
def test_a_forkserver_that_cannot_fork_is_replaced(lasting: ServerUnderTest, harm: signal.Signals) -> None:
    logged = len(lasting.log)
    with Client(lasting.address) as client:
        expected = client.train(SHORT).result
        assert expected is not None
        old = find_forkserver(lasting)
        old.send_signal(harm)
        again = client.train(SHORT.model_copy(update={"seed": 0}), timeout=60).result
        assert again is not None
        assert again.weights_digest == expected.weights_digest
        eventually(lambda: not old.is_running())
        assert find_forkserver(lasting) != old
        eventually(lambda: client.get_server_info().ready)
    events = [line for line in lasting.log[logged:].splitlines() if '"not ready"' in line or '"forkserver ' in line]
    assert any('"cause": ["processes"]' in line for line in events)
    assert any('"forkserver ' in line and ('"cause": ' in line or '"exit_code": ' in line) for line in events)


def test_a_stopped_forkserver_is_replaced_without_a_run(lasting: ServerUnderTest) -> None:
    logged = len(lasting.log)
    old = find_forkserver(lasting)
    old.send_signal(signal.SIGSTOP)
    eventually(lambda: not old.is_running())
    with Client(lasting.address) as client:
        eventually(lambda: client.get_server_info().ready)
        assert client.train(SHORT).state is RunState.SUCCEEDED
    assert any('"not ready"' in line and '"processes"' in line for line in lasting.log[logged:].splitlines())


def test_a_run_has_its_time_limit_while_the_forkserver_hangs(tmp_path: Path) -> None:
    """The limit is shorter than the time to detect the hung forkserver."""
    flags = ("--slots", "1", "--drain-seconds", "0", "--run-seconds", "5")
    with (
        server_under_test(tmp_path, f"sqlite:///{tmp_path / 'runs.db'}", *flags) as server,
        Client(server.address) as client,
    ):
        with stopped(find_forkserver(server)):
            run = client.train(SHORT, detach=True)
            ended = [*client.watch_run(run.id)][-1].run
        assert ended is not None
        assert ended.start_time is not None
        assert ended.end_time is not None
        assert ended.error is not None
        assert (ended.state, ended.error.reason) == (RunState.FAILED, "TRAINING_PROCESS_UNAVAILABLE")
        assert ended.error.retryable
        assert (ended.end_time - ended.start_time).total_seconds() >= 5
        # The slot is free, and the server trains again after the restart.
        eventually(lambda: client.get_server_info().ready)
        assert client.train(SHORT.model_copy(update={"seed": 1})).state is RunState.SUCCEEDED


def test_a_run_that_waits_for_a_stopped_forkserver_is_cancelled(lasting: ServerUnderTest) -> None:
    with Client(lasting.address) as client, stopped(find_forkserver(lasting)):
        run = client.train(SHORT, detach=True)
        eventually(lambda: client.get_run(run.id).state is RunState.RUNNING)
        start = time.monotonic()
        assert client.cancel_run(run.id).state is RunState.CANCELLED
        assert time.monotonic() - start < END_SECONDS


def test_a_result_is_stored_although_its_process_is_not_reaped(lasting: ServerUnderTest) -> None:
    with Client(lasting.address) as client:
        eventually(lambda: not lasting.workers())
        run = client.train(SHORT.model_copy(update={"epochs": 4, "execution": Execution.EAGER}), detach=True)
        eventually(lasting.workers)
        with stopped(find_forkserver(lasting)):
            assert [*client.watch_run(run.id)][-1].state is RunState.SUCCEEDED
            assert client.get_run(run.id).state is RunState.SUCCEEDED


@pytest.mark.parametrize("what", ["forkserver", "worker", "both"])
def test_sigterm_ends_a_server_with_stopped_processes(server: ServerUnderTest, what: str) -> None:
    with Client(server.address) as client:
        run = client.train(LONG, detach=True)
        eventually(server.workers)
        workers = server.workers()
        found = {"forkserver": [find_forkserver(server)], "worker": workers}
        for process in found.get(what, [*workers, find_forkserver(server)]):
            process.send_signal(signal.SIGSTOP)
        queued = client.train(LONG, detach=True)
        eventually(lambda: client.get_run(queued.id).state is RunState.RUNNING or what == "worker")
        assert client.get_run(run.id).state is RunState.RUNNING
    below = server.processes()
    assert seconds_to_stop(server) < DRAIN_SECONDS + END_SECONDS
    eventually(lambda: not any(process.is_running() for process in below), seconds=10)
    assert "Traceback" not in server.log


@pytest.mark.parametrize("seconds", [0.2, 2.0])
def test_sigterm_ends_a_starting_server(tmp_path: Path, seconds: float) -> None:
    server = ServerUnderTest(tmp_path, f"sqlite:///{tmp_path / 'runs.db'}", "--drain-seconds", str(DRAIN_SECONDS))
    server.start()
    time.sleep(seconds)
    for process in server.forkserver():
        process.send_signal(signal.SIGSTOP)
    assert seconds_to_stop(server) < DRAIN_SECONDS + END_SECONDS
    assert "Traceback" not in server.log
    eventually(lambda: not server.processes(), seconds=10)


def test_a_server_without_its_temporary_files_trains_and_ends_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with server_under_test(tmp_path, f"sqlite:///{tmp_path / 'runs.db'}") as server, Client(server.address) as client:
        for path in folder.iterdir():
            os.system(f"rm -r '{path}'")  # noqa: S605  a path of the test's
        assert client.train(SHORT).state is RunState.SUCCEEDED
        assert server.stop() == 0
    assert "Traceback" not in server.log
