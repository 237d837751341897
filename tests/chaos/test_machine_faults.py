"""A full disk, a lost database file, and suspended servers."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from loopbench.spec import Dataset, Execution, Method, RunFilter, RunSpec, RunState
from loopbench_client import Client, LoopbenchError
from tests.chaos.floods import fill as store
from tests.chaos.server_under_test import ServerUnderTest, server_under_test
from tests.support.limits import full_disk
from tests.support.postgresql import Cluster

pytestmark = pytest.mark.slow

SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
DRAIN_SECONDS, END_SECONDS = 2, 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_under_test(
        tmp_path, f"sqlite:///{tmp_path / 'runs.db'}", "--slots", "2", "--lease-seconds", "2"
    ) as made:
        yield made


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def workers_without_room(server: ServerUnderTest) -> Iterator[None]:
    (forkserver,) = server.forkserver()
    with ExitStack() as limited:
        limited.enter_context(full_disk(forkserver.pid))
        for standby in forkserver.children():
            limited.enter_context(full_disk(standby.pid))
        yield


def refusal(call: Callable[[], object], folder: Path) -> tuple[str, str]:
    """Reason and retryability of the error, which must not name a path."""
    with pytest.raises(LoopbenchError) as caught:
        call()
    assert str(folder) not in f"{caught.value} {caught.value.details}"
    assert "/tmp" not in caught.value.message  # noqa: S108  no path is used
    return caught.value.reason, caught.value.details.metadata["retryable"]


def test_a_full_temporary_folder_is_the_same_error_for_every_method(server: ServerUnderTest, tmp_path: Path) -> None:
    specs = [
        SHORT.model_copy(update={"method": method, "execution": execution})
        for method in Method
        for execution in Execution
    ]
    ids = {spec: str(uuid.uuid4()) for spec in specs}
    with Client(server.address) as client:
        trained = client.train(SHORT.model_copy(update={"seed": 9}))
        with workers_without_room(server):
            refusals = {refusal(lambda spec=spec: client.train(spec, request_id=ids[spec]), tmp_path) for spec in specs}  # type: ignore[misc]
            refusals.add(refusal(lambda: client.evaluate(trained.id), tmp_path))
            refusals.add(refusal(lambda: client.diagnose(specs[0], specs[-1]), tmp_path))
        assert refusals == {("TEMPORARY_FOLDER_NOT_WRITABLE", "true")}
        # Each method and each execution once; a refused request succeeds at the second attempt.
        again = [spec for spec in specs if [*Method].index(spec.method) == [*Execution].index(spec.execution)]
        runs = [client.train(spec, request_id=ids[spec]) for spec in again]
        assert len(runs) == len(Method) == len(Execution)
        digests = {run.result.weights_digest for run in runs if run.result and run.spec.execution is not Execution.XLA}
        assert len(digests) == 1
    assert "File too large" in server.log


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=64", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill_with_bytes(folder: Path) -> None:
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def fill_with_files(folder: Path) -> None:
    with suppress(OSError):
        for number in range(1_000):
            (folder / f"filler-{number}").touch()


@pytest.mark.parametrize(
    ("where", "reason"), [("TMPDIR", "TEMPORARY_FOLDER_NOT_WRITABLE"), ("--tensorboard-dir", "TENSORBOARD_FULL")]
)
def test_a_full_file_system_is_named(
    small_disk: Path, tmp_path: Path, where: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "TMPDIR":
        monkeypatch.setenv(where, str(small_disk))
    flags = (where, str(small_disk)) if where.startswith("--") else ()
    spec = SHORT.model_copy(update={"tensorboard": bool(flags)})
    with (
        server_under_test(tmp_path, f"sqlite:///{tmp_path / 'runs.db'}", *flags) as server,
        Client(server.address) as client,
    ):
        assert client.train(spec).state is RunState.SUCCEEDED
        for fill in (fill_with_bytes, fill_with_files):
            fill(small_disk)
            request_id = str(uuid.uuid4())
            refusals = refusal(lambda request_id=request_id: client.train(spec, request_id=request_id), tmp_path)  # type: ignore[misc]
            assert refusals == (reason, "true"), fill.__name__
            for file in small_disk.glob("filler*"):
                file.unlink()
            assert client.train(spec, request_id=request_id).state is RunState.SUCCEEDED, fill.__name__


def test_a_path_that_is_not_utf_8_is_refused_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    command = [sys.executable, "-m", "loopbench_server", "--address", "127.0.0.1:0", "--metrics-address", "none"]
    command += ["--store-url", f"sqlite:///{tmp_path / 'runs.db'}"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 2
    assert "TMPDIR: " in done.stderr
    assert "UTF-8" in done.stderr
    assert "Traceback" not in done.stderr


def remove(folder: Path) -> None:
    for file in folder.glob("runs.db*"):
        file.unlink()


def replace(folder: Path) -> None:
    remove(folder)
    sqlite3.connect(folder / "runs.db").close()


def is_lost(client: Client, run_id: str) -> bool:
    try:
        assert client.get_run(run_id).state is not RunState.SUCCEEDED
    except LoopbenchError:
        return True
    return False


@pytest.mark.parametrize("harm", [remove, replace])
def test_no_run_succeeds_when_the_database_file_is_lost(
    server: ServerUnderTest, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    with Client(server.address, timeout=30) as client:
        client.train(SHORT)
        running = client.train(LONG.model_copy(update={"epochs": 5}), detach=True)
        eventually(server.workers)
        harm(tmp_path)
        eventually(lambda: not client.get_server_info().ready, seconds=10)
        for call in (lambda: client.train(SHORT), lambda: [*client.list_runs()], lambda: client.delete_run(running.id)):
            with pytest.raises(LoopbenchError) as caught:
                call()
            # A live run cannot be deleted, even without the file.
            assert caught.value.reason in {"STORE_REPLACED", "RUN_NOT_ENDED", ""}
        # The server knows the run until it has tried to store its end.
        eventually(lambda: is_lost(client, running.id))
        assert "deleted or replaced" in server.log


def test_a_damaged_database_takes_no_runs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    store(url, 30)
    pages = bytearray((tmp_path / "runs.db").read_bytes())
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
    pages[4096 * (root - 1) : 4096 * root] = b"\xaa" * 4096
    (tmp_path / "runs.db").write_bytes(pages)
    server = ServerUnderTest(tmp_path, url)
    server.start()
    try:
        with Client(server.address, timeout=60) as client:
            eventually(lambda: '"database disk image is malformed"' in server.log or "damaged" in server.log)
            assert refusal(lambda: [*client.list_runs()], tmp_path) == ("STORE_CORRUPT", "false")
            assert refusal(lambda: client.train(SHORT), tmp_path) == ("STORE_CORRUPT", "false")
            time.sleep(15)
            assert not client.get_server_info().ready
    finally:
        server.stop()


def test_suspended_servers_leave_each_others_runs_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    folders = [tmp_path / name for name in ("a", "b")]
    with ExitStack() as stack:
        servers = []
        for folder in folders:
            folder.mkdir()
            servers.append(stack.enter_context(server_under_test(folder, url, "--lease-seconds", "5", "--slots", "1")))
        clients = [stack.enter_context(Client(server.address)) for server in servers]
        runs = [client.train(LONG, detach=True) for client in clients]
        for server in servers:
            eventually(server.workers)
        # The workers stay suspended when the servers resume.
        for worker in (worker for server in servers for worker in server.workers()):
            worker.send_signal(signal.SIGSTOP)
        processes = [psutil.Process(server.process.pid) for server in servers if server.process]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        time.sleep(8)
        for process in processes:
            process.send_signal(signal.SIGCONT)
        time.sleep(6)
        for run, client in zip(runs, clients, strict=True):
            assert client.get_run(run.id).state is RunState.RUNNING
            client.cancel_run(run.id)
        assert not [*clients[0].list_runs(RunFilter(states=(RunState.FAILED,)))]


def test_sigterm_ends_a_server_with_a_hung_database(tmp_path: Path, postgresql: Cluster) -> None:
    with server_under_test(tmp_path, postgresql.url, "--drain-seconds", str(DRAIN_SECONDS)) as server:
        with Client(server.address) as client:
            client.train(LONG, detach=True)
            eventually(server.workers)
        below = server.processes()
        with postgresql.standing_still():
            assert server.process is not None
            start = time.monotonic()
            server.process.terminate()
            server.process.communicate(timeout=60)
            assert time.monotonic() - start < DRAIN_SECONDS + END_SECONDS
        eventually(lambda: not any(process.is_running() for process in below), seconds=10)
