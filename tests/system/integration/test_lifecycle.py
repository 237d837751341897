"""Ends of a run, a client, a worker and the server; nothing remains of any."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopbench.spec import Device, Execution, Loss, RunFilter, RunState
from loopbench_client import Client, LoopbenchError, RunCancelledError, RunFailedError
from tests.smoke.test_server import long_spec, under_way
from tests.support.diagnoses import diagnose, spec
from tests.support.servers import TIMEOUT_SECONDS, ServerProcess, Start, as_process, eventually

# Seeds that identify a test's runs among others.
BY_TWO, BY_CALLER, BY_EVENT, BY_DEADLINES = 7_100, 7_200, 7_300, range(7_400, 7_423)


@pytest.fixture
def idle(server: ServerProcess) -> ServerProcess:
    """The shared server, once no run trains."""
    eventually(lambda: not server.workers())
    return server


@pytest.mark.slow
def test_two_runs_at_once(idle: ServerProcess, client: Client) -> None:
    ids = [under_way(client, long_spec(seed=BY_TWO + number)) for number in range(2)]
    assert len(idle.workers()) == 2
    assert client.get_server_info().running == 2
    for run_id in ids:
        client.cancel_run(run_id)
    assert not idle.workers()


@pytest.mark.slow
def test_runs_do_not_wait_for_a_gpu_that_tensorflow_does_not_see(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with start("--slots", "2", "--gpu-slots", "1").client() as client:
        client.wait_ready(TIMEOUT_SECONDS)
        for _ in range(2):
            under_way(client, long_spec(device=Device.AUTO))
        assert client.get_server_info().running == 2


CALLER = """
import sys
from loopbench.spec import RunSpec
from loopbench_client import Client
Client(sys.argv[1]).train(RunSpec.model_validate_json(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_killed_callers_run_is_cancelled(idle: ServerProcess, client: Client) -> None:
    given = long_spec(seed=BY_CALLER).model_dump_json()
    caller = subprocess.Popen([sys.executable, "-c", CALLER, idle.address, given])
    eventually(lambda: client.get_server_info().running == 1 and bool(idle.workers()))
    caller.kill()
    caller.wait()
    eventually(lambda: not idle.workers())
    # The process is gone before the end of its run is stored.
    eventually(lambda: all(run.state.ended for run in client.list_runs(RunFilter(seeds=(BY_CALLER,)))))
    (run,) = client.list_runs(RunFilter(seeds=(BY_CALLER,)))
    assert run.state is RunState.CANCELLED
    assert run.error is not None
    assert (run.error.reason, run.error.retryable) == ("CALLER_GONE", True)


@pytest.mark.slow
def test_a_cancelled_runs_caller_gets_an_error(client: Client) -> None:
    def cancel_once_running(event: Any) -> None:
        if event.progress and event.progress.step:
            (run,) = client.list_runs(RunFilter(seeds=(BY_EVENT,)))
            client.cancel_run(run.id)

    with pytest.raises(RunCancelledError):
        client.train(long_spec(seed=BY_EVENT), on_progress=cancel_once_running)


@pytest.mark.slow
def test_killed_server_leaves_no_process(start: Start) -> None:
    server = start()
    with server.client() as client:
        client.train(long_spec(), detach=True)
    eventually(lambda: bool(server.workers()))
    below = server.processes()
    server.process.kill()
    server.process.wait()
    eventually(lambda: not any(process.is_running() for process in below))


@pytest.mark.slow
def test_sigterm_ends_a_run_that_takes_too_long(start: Start) -> None:
    server = start("--drain-seconds", "0.5")
    server.wait_ready()
    with server.client() as client:
        run_id = under_way(client, long_spec())
    workers = server.workers()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(TIMEOUT_SECONDS) == 0
    assert not any(worker.is_running() for worker in workers)
    with start().client() as client:
        run = client.get_run(run_id)
    assert run.error is not None
    assert (run.state, run.error.reason, run.error.retryable) == (RunState.CANCELLED, "SERVER_DRAINING", True)


@pytest.mark.slow
def test_sigterm_to_all_processes_lets_a_run_end(start: Start) -> None:
    """As systemd stops a unit, and `timeout` a command."""
    server = start("--drain-seconds", str(TIMEOUT_SECONDS))
    server.wait_ready()
    with server.client() as client:
        run_id = under_way(client, spec(epochs=30, execution=Execution.EAGER))
    for process in (*server.processes(), psutil.Process(server.process.pid)):
        process.terminate()
    assert server.process.wait(TIMEOUT_SECONDS) == 0
    assert not server.faults()
    with start().client() as client:
        assert client.get_run(run_id).state is RunState.SUCCEEDED


@pytest.mark.slow
def test_sigterm_lets_a_diagnosis_end(start: Start) -> None:
    server = start("--drain-seconds", str(TIMEOUT_SECONDS))
    server.wait_ready()
    with ThreadPoolExecutor(1) as pool, server.client() as client:
        diagnosing = pool.submit(diagnose, client, spec(), spec(loss=Loss.MEAN_SQUARED_ERROR))
        eventually(lambda: bool(server.workers()))
        server.process.send_signal(signal.SIGTERM)
        assert diagnosing.result().causes
    assert server.process.wait(TIMEOUT_SECONDS) == 0


def test_end_of_standard_input_stops_the_server(tmp_path: Path) -> None:
    command = [*as_process(tmp_path), "--address", "127.0.0.1:0", "--metrics-address", "none"]
    command += ["--store-url", f"sqlite:///{tmp_path / 'runs.db'}", "--exit-on-stdin-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"loopbench-server listening on 127.0.0.1:")
    _, log = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in log.splitlines() if line.startswith(b"{")][-1] == "stopped"


@pytest.mark.slow
def test_unwritable_tensorboard_folder_is_an_error_before_training(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server = start("--tensorboard-dir", str(tmp_path / "file" / "below"))
    with server.client() as client, pytest.raises(LoopbenchError) as caught:
        client.train(spec(epochs=1, tensorboard=True))
    assert caught.value.reason == "TENSORBOARD_NOT_WRITABLE"


@pytest.mark.slow
def test_a_worker_crash_is_one_line_for_the_caller_and_logged_in_full(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "keras.py").write_text("raise ImportError('\\x1b[1mbroken\\x1b[0m\\ninstallation')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    server = start()
    with server.client() as client, pytest.raises(RunFailedError) as caught:
        client.train(spec(epochs=1))
    assert caught.value.reason == "RUN_FAILED"
    assert caught.value.run_id
    assert "ImportError: broken installation" in str(caught.value)
    assert "Traceback" in server.log()
    # No run can succeed, so the server does not become ready.
    eventually(lambda: any(event["event"] == "worker process does not start" for event in server.events()))
    assert not any(event["event"] == "ready" for event in server.events())


@pytest.mark.slow
def test_many_short_deadlines_leave_nothing_behind(idle: ServerProcess, client: Client) -> None:
    for number, seed in enumerate(BY_DEADLINES, 1):
        with pytest.raises(LoopbenchError):
            client.train(long_spec(seed=seed), timeout=2 * number / 1000)
    of_these = RunFilter(seeds=tuple(BY_DEADLINES))
    eventually(lambda: all(run.state is RunState.CANCELLED for run in client.list_runs(of_these)))
    eventually(lambda: not idle.workers())
    info = client.get_server_info()
    assert (info.running, info.queued) == (0, 0)


@pytest.mark.slow
def test_run_survives_the_death_of_its_server(start: Start) -> None:
    """After a restart on the same port, the client retries with the same request_id."""
    server = start()
    with ThreadPoolExecutor(1) as pool, server.client() as client:
        training = pool.submit(client.train, spec(epochs=10, execution=Execution.EAGER))
        eventually(lambda: bool(server.workers()))
        server.process.kill()
        server.process.wait()
        again = start("--address", server.address)
        run = training.result()
        assert run.state is RunState.SUCCEEDED
        with again.client() as other:
            assert [stored.id for stored in other.list_runs()] == [run.id]
