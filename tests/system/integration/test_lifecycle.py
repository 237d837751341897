"""Ends: of a run, of a client, of a worker, of the server; and what is left of each."""

import json
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopbench.spec import Dataset, Execution, RunSpec, RunState
from loopbench_client import (
    Client,
    LoopbenchError,
    PreconditionError,
    QueueFullError,
    RunCancelledError,
    RunFailedError,
)

from .conftest import PATIENCE, SECONDS_TO_READY, ServerProcess, eventually


def long_spec(**fields: Any) -> RunSpec:
    """A run that no test waits out."""
    return RunSpec(**{"dataset": Dataset.DIGITS, "epochs": 1_000, "execution": Execution.EAGER} | fields)


def short_spec() -> RunSpec:
    return RunSpec(dataset=Dataset.DIGITS, epochs=1)


@pytest.fixture
def ready(start: Any) -> ServerProcess:
    server: ServerProcess = start("--slots", "2")
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
    return server


def running(client: Client, spec: RunSpec) -> str:
    """The id of a new detached run that is under way."""
    run = client.train(spec, detach=True)
    for event in client.watch(run.id):
        if event.progress and event.progress.step:
            return run.id
    pytest.fail("the run ended by itself")


def test_cancel_ends_the_process(ready: ServerProcess) -> None:
    with ready.client() as client:
        run_id = running(client, long_spec())
        (worker,) = ready.workers()
        cancelled = client.cancel(run_id)
        assert not worker.is_running()
        assert cancelled.state is RunState.CANCELLED
        assert cancelled.error is not None
        assert cancelled.error.reason == "RUN_CANCELLED"
        assert client.get(run_id) == cancelled
        assert client.train(short_spec()).state is RunState.SUCCEEDED


def test_cancelling_a_queued_run_leaves_the_others_alone(start: Any) -> None:
    server = start("--slots", "1")
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        first = running(client, long_spec())
        queued = client.train(long_spec(), detach=True)
        assert next(iter(client.watch(queued.id))).queue_position == 0
        assert client.cancel(queued.id).state is RunState.CANCELLED
        assert client.get(first).state is RunState.RUNNING
        client.cancel(first)


def test_two_runs_at_once(ready: ServerProcess) -> None:
    with ready.client() as client:
        ids = [running(client, long_spec(seed=seed)) for seed in (1, 2)]
        assert len(ready.workers()) == 2
        assert client.server_info().running == 2
        for run_id in ids:
            client.cancel(run_id)
        assert not ready.workers()


CALLER = """
import sys
from loopbench.spec import RunSpec
from loopbench_client import Client
Client(sys.argv[1]).train(RunSpec.model_validate_json(sys.argv[2]))
"""


def test_killed_caller_takes_its_run_along(ready: ServerProcess) -> None:
    caller = subprocess.Popen([sys.executable, "-c", CALLER, ready.address, long_spec().model_dump_json()])
    with ready.client() as client:
        eventually(lambda: client.server_info().running == 1 and bool(ready.workers()))
        caller.kill()
        caller.wait()
        eventually(lambda: not ready.workers())
        # The process is gone before the end of its run is stored.
        eventually(lambda: all(run.state.ended for run in client.list()))
        (run,) = client.list()
        assert run.state is RunState.CANCELLED
        assert run.error is not None
        assert (run.error.reason, run.error.retryable) == ("CALLER_GONE", True)


def test_deadline_takes_the_run_along(ready: ServerProcess) -> None:
    with ready.client() as client:
        with pytest.raises(LoopbenchError):
            client.train(long_spec(), timeout=2)
        eventually(lambda: not ready.workers())
        eventually(lambda: all(run.state is RunState.CANCELLED for run in client.list()))


def test_cancelled_run_tells_its_waiting_caller(ready: ServerProcess) -> None:
    def cancel_once_running(event: Any) -> None:
        if event.progress and event.progress.step:
            with ready.client() as other:
                (run,) = other.list()
                other.cancel(run.id)

    with ready.client() as client, pytest.raises(RunCancelledError):
        client.train(long_spec(), on_progress=cancel_once_running)


def test_killed_worker_fails_the_run_and_a_retry_brings_the_result(ready: ServerProcess) -> None:
    request_id = str(uuid.uuid4())
    spec = RunSpec(dataset=Dataset.DIGITS, epochs=6, execution=Execution.EAGER)
    with ready.client() as client:
        run = client.train(spec, request_id=request_id, detach=True)
        eventually(lambda: bool(ready.workers()))
        ready.workers()[0].kill()
        *_, last = client.watch(run.id)
        assert last.run is not None
        assert last.run.error is not None
        assert (last.run.state, last.run.error.reason) == (RunState.FAILED, "WORKER_LOST")
        again = client.train(spec, request_id=request_id)
        assert again.id == run.id
        reference = client.train(spec.model_copy(update={"execution": Execution.GRAPH}))
        assert again.result is not None
        assert reference.result is not None
        assert again.result.weights_digest == reference.result.weights_digest


def test_killed_forkserver_is_replaced(ready: ServerProcess) -> None:
    with ready.client() as client:
        children = psutil.Process(ready.process.pid).children()
        (forkserver,) = [child for child in children if "forkserver" in " ".join(child.cmdline())]
        forkserver.kill()
        assert client.train(short_spec()).state is RunState.SUCCEEDED


def test_killed_server_leaves_no_process(ready: ServerProcess) -> None:
    with ready.client() as client:
        running(client, long_spec())
    below = psutil.Process(ready.process.pid).children(recursive=True)
    ready.process.kill()
    ready.process.wait()
    eventually(lambda: not any(process.is_running() for process in below))


def test_sigterm_lets_a_run_finish(ready: ServerProcess, start: Any) -> None:
    with ready.client() as client:
        run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=6, execution=Execution.EAGER), detach=True)
        eventually(lambda: bool(ready.workers()))
    ready.process.send_signal(signal.SIGTERM)
    assert ready.process.wait(PATIENCE) == 0
    with start().client() as client:
        assert client.get(run.id).state is RunState.SUCCEEDED


def test_sigterm_ends_a_run_that_takes_too_long(start: Any) -> None:
    server = start("--drain-seconds", "0.5")
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        run_id = running(client, long_spec())
    workers = server.workers()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert not any(worker.is_running() for worker in workers)
    with start().client() as client:
        run = client.get(run_id)
    assert run.error is not None
    assert (run.state, run.error.reason, run.error.retryable) == (RunState.CANCELLED, "SERVER_DRAINING", True)


def test_end_of_standard_input_stops_the_server(tmp_path: Any) -> None:
    command = [sys.executable, "-m", "loopbench_server", "--address", "127.0.0.1:0", "--metrics-address", "none"]
    command += ["--store-url", f"sqlite:///{tmp_path / 'runs.db'}", "--exit-on-stdin-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"loopbench-server listening on 127.0.0.1:")
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in log.splitlines() if line.startswith(b"{")][-1] == "stopped"


def test_full_queue(start: Any) -> None:
    server = start("--slots", "1", "--queue-size", "1")
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        first = running(client, long_spec())
        queued = client.train(long_spec(), detach=True)
        with pytest.raises(QueueFullError) as caught:
            client.train(short_spec())
        assert caught.value.retry_delay
        for run_id in (queued.id, first):
            client.cancel(run_id)


def test_port_taken(ready: ServerProcess) -> None:
    command = [sys.executable, "-m", "loopbench_server", "--address", ready.address, "--metrics-address", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    assert "--address: cannot serve on" in done.stderr
    assert "Traceback" not in done.stderr


def test_unwritable_tensorboard_folder_is_an_error_before_training(start: Any, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    server = start("--tensorboard-dir", str(tmp_path / "file" / "below"))
    with server.client() as client, pytest.raises(LoopbenchError) as caught:
        client.train(short_spec().model_copy(update={"tensorboard": True}))
    assert caught.value.reason == "TENSORBOARD_NOT_WRITABLE"


def test_corrupt_dataset_is_told_without_the_servers_paths(start: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist.npz").write_bytes(b"no archive")
    server = start("--data-dir", str(tmp_path / "data"))
    with server.client() as client, pytest.raises(PreconditionError) as caught:
        client.train(RunSpec(epochs=1))
    assert caught.value.reason == "DATASET_CORRUPT"
    assert str(tmp_path) not in str(caught.value)


def test_crash_in_a_worker_is_told_in_a_line_and_logged_whole(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # With a backend that does not exist the engine cannot even be imported.
    monkeypatch.setenv("KERAS_BACKEND", "none-such")
    server = start()
    with server.client() as client, pytest.raises(RunFailedError) as caught:
        client.train(short_spec())
    assert caught.value.reason == "RUN_FAILED"
    assert caught.value.run_id
    assert "Traceback" not in str(caught.value)
    assert "Traceback" in server.log()


def test_many_callers_with_short_deadlines_leave_nothing_behind(ready: ServerProcess) -> None:
    with ready.client() as client:
        for milliseconds in range(2, 46, 2):
            with pytest.raises(LoopbenchError):
                client.train(long_spec(seed=milliseconds), timeout=milliseconds / 1000)
        eventually(lambda: all(run.state is RunState.CANCELLED for run in client.list()))
        eventually(lambda: not ready.workers())
        info = client.server_info()
        assert (info.running, info.queued) == (0, 0)


def test_run_survives_the_death_of_its_server(start: Any) -> None:
    """Killed and started anew on its port: the client asks again under the same request_id."""
    server = start()
    spec = RunSpec(dataset=Dataset.DIGITS, epochs=10, execution=Execution.EAGER)
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
    with ThreadPoolExecutor(1) as pool, Client(server.address) as client:
        training = pool.submit(client.train, spec)
        eventually(lambda: bool(server.workers()))
        server.process.kill()
        server.process.wait()
        again = start("--address", server.address)
        run = training.result()
        assert run.state is RunState.SUCCEEDED
        with again.client() as other:
            assert [stored.id for stored in other.list()] == [run.id]
