"""A database that is unavailable, full, read-only or changed, and the service afterwards."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from loopbench.spec import Dataset, Execution, Run, RunError, RunSpec, RunState
from loopbench_client import (
    Client,
    LoopbenchError,
    PreconditionError,
    RunFailedError,
    ServerError,
    ServerUnavailableError,
)
from tests.chaos.server_under_test import server_under_test
from tests.support.postgresql import Cluster
from tests.support.servers import TIMEOUT_SECONDS, ServerProcess, eventually

pytestmark = pytest.mark.slow

SECONDS_AWAY = 10
# The server waits 5 s or more for each of three calls at once, so that the last call is refused after TIMEOUT_SECONDS.
MANY = 100
SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)


@contextmanager
def away(postgresql: Cluster) -> Iterator[None]:
    """Stops the database within the block."""
    postgresql.stop()
    try:
        yield
    finally:
        postgresql.start()


def test_a_database_outage_loses_nothing(tmp_path: Path, postgresql: Cluster, postgresql_url: str) -> None:
    with server_under_test(tmp_path, postgresql_url, "--slots", "2") as server, Client(server.address) as client:
        ended = client.train(SHORT)
        run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=30, execution=Execution.EAGER), detach=True)
        events = client.watch_run(run.id)
        while not next(events).epochs:
            pass
        with away(postgresql):
            end = time.monotonic() + SECONDS_AWAY
            while time.monotonic() < end:
                with pytest.raises(ServerUnavailableError) as caught:
                    client.get_run(ended.id)
                assert caught.value.reason == "STORE_FAILED"
                time.sleep(1)
            assert not client.get_server_info().ready
        last = [*events][-1].run
        assert last is not None
        assert last.state is RunState.SUCCEEDED
        assert client.get_run(run.id) == last
        assert client.get_run(ended.id) == ended
        # The epochs that ended during the outage are stored too.
        assert [record.epoch for record in next(client.watch_run(run.id)).epochs] == [*range(1, 31)]
        eventually(lambda: client.get_server_info().ready)
        assert client.train(SHORT).state is RunState.SUCCEEDED


def test_a_hung_database_delays_no_run(tmp_path: Path, postgresql: Cluster, postgresql_url: str) -> None:
    long = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
    flags = ("--slots", "2", "--lease-seconds", "300")
    with server_under_test(tmp_path, postgresql_url, *flags) as server, Client(server.address, timeout=240) as client:
        ended = client.train(SHORT)
        first, second = (client.train(long, detach=True) for _ in range(2))
        events = client.watch_run(first.id)
        while not next(events).epochs:
            pass
        with ThreadPoolExecutor(MANY + 1) as callers, postgresql.standing_still():
            # DeleteRun, because the client does not repeat it; no run has the id, because some calls outlast the block.
            refusals = [callers.submit(client.delete_run, str(UUID(int=0))) for _ in range(MANY)]
            with pytest.raises(ServerUnavailableError) as caught:
                next(as_completed(refusals)).result()
            assert caught.value.reason == "STORE_FAILED"
            # Both runs have ended an epoch since, which the server tries to store.
            cancelling = callers.submit(client.cancel_run, second.id)
            # A cancellation that needed a thread of these calls would miss the time limit.
            eventually(lambda: len(server.workers()) == 1)
            assert not cancelling.done(), "its end cannot be stored"
            assert "database error" in server.log
            assert client.get_server_info().running == 2
        assert cancelling.result().state is RunState.CANCELLED
        assert client.get_run(ended.id) == ended
        while not next(events).epochs:
            pass
        assert client.cancel_run(first.id).state is RunState.CANCELLED
        assert client.train(SHORT).state is RunState.SUCCEEDED


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes that can be enlarged."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted: run the tests as root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def trained_until_refused(client: Client) -> tuple[list[Run], RunError]:
    """The completed runs and the error that ended the series. The weights of each run take a megabyte."""
    completed: list[Run] = []
    for seed in range(10):
        begun = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, seed=seed), detach=True)
        run = [*client.watch_run(begun.id)][-1].run
        assert run is not None
        if run.error:
            return completed, run.error
        completed.append(run)
    pytest.fail("the disk is not full")


def test_a_full_disk_is_an_error_and_no_result_is_lost(tmp_path: Path, tiny_disk: Path) -> None:
    url = f"sqlite:///{tiny_disk / 'runs.db'}"
    with server_under_test(tmp_path, url, "--lease-seconds", "1") as server, Client(server.address) as client:
        completed, refused = trained_until_refused(client)
        assert completed
        assert refused.reason == "STORE_FAILED"
        assert "database or disk is full" in server.log
        assert [client.get_run(run.id) for run in completed] == completed
        subprocess.run(["mount", "-o", "remount,size=40m", str(tiny_disk)], check=True)
        assert client.train(SHORT).state is RunState.SUCCEEDED


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Makes the database read-only for all sessions, existing ones included, as at a failover."""
    _set_read_only(url, "on")
    try:
        yield
    finally:
        _set_read_only(url, "off")


def _set_read_only(url: str, value: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    found = None
    while found != value:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SHOW default_transaction_read_only").scalar()


def test_a_read_only_store_is_an_error_until_it_is_writable(tmp_path: Path, postgresql_url: str) -> None:
    with server_under_test(tmp_path, postgresql_url) as server, Client(server.address) as client:
        completed = client.train(SHORT)
        with read_only(postgresql_url):
            with pytest.raises(ServerUnavailableError) as caught:
                client.train(SHORT)
            assert caught.value.reason == "STORE_FAILED"
            assert "read-only transaction" in server.log
            eventually(lambda: not client.get_server_info().ready)
            assert client.get_run(completed.id) == completed
        eventually(lambda: client.get_server_info().ready)
        again = client.train(SHORT)
        assert again.result is not None
        assert completed.result is not None
        assert again.result.weights_digest == completed.result.weights_digest


def start_on(url: str) -> subprocess.CompletedProcess[str]:
    """Runs a server that exits before it serves."""
    command = [sys.executable, "-m", "loopbench_server", "--address", "127.0.0.1:0", "--metrics-address", "none"]
    return subprocess.run(
        [*command, "--store-url", url],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
        stdin=subprocess.DEVNULL,
    )


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    file.write_bytes(b"no database" * 1_000)
    refused = start_on(f"sqlite:///{file}")
    assert refused.returncode == 1
    (line,) = (line for line in refused.stderr.splitlines() if not line.startswith("{"))
    assert line.startswith("loopbench-server: --store-url: cannot open the database: ")
    assert "file is not a database" in line


HARMS = ("substr(packed, 1, 5000)", "x'00'", "zeroblob(length(packed))", "flipped", "another")


@contextmanager
def harmed(database: sqlite3.Connection, run_id: str, other: str, harm: str) -> Iterator[None]:
    """Changes the weights of a run within the block."""
    of_run = "SELECT packed FROM weights WHERE run_id = ?"
    ((packed,), (another,)) = (database.execute(of_run, (chosen,)).fetchone() for chosen in (run_id, other))
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]
    values = {"flipped": flipped, "another": another}
    expression, arguments = ("?", (values[harm], run_id)) if harm in values else (harm, (run_id,))
    database.execute(f"UPDATE weights SET packed = {expression} WHERE run_id = ?", arguments)  # noqa: S608  of the test's own
    database.commit()
    yield
    database.execute("UPDATE weights SET packed = ? WHERE run_id = ?", (packed, run_id))
    database.commit()


def test_weights_that_were_changed_are_not_evaluated(server: ServerProcess, client: Client) -> None:
    run_id, whole = (client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, seed=seed)).id for seed in (1, 2))
    with closing(sqlite3.connect(server.folder / "runs.db", timeout=30)) as database:
        for harm in HARMS:
            with harmed(database, run_id, whole, harm):
                with pytest.raises(ServerError) as caught:
                    client.evaluate(run_id)
                assert caught.value.reason == "WEIGHTS_CORRUPT", harm
                assert caught.value.hint
    assert {client.evaluate(run).validation.samples for run in (run_id, whole)} == {359}
    assert client.train(SHORT).state is RunState.SUCCEEDED


def test_a_corrupt_dataset_is_an_error_and_others_are_served(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    file = data / "mnist.npz"
    file.write_bytes(b"")
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with server_under_test(tmp_path, url, "--data-dir", str(data)) as server, Client(server.address) as client:
        for content in (b"", b"PK\x03\x04 no archive", b"x" * 10_000):
            file.write_bytes(content)
            with pytest.raises(PreconditionError) as caught:
                client.train(RunSpec(epochs=1))
            assert caught.value.reason == "DATASET_CORRUPT"
            assert str(tmp_path) not in caught.value.message
            assert str(tmp_path) not in str(caught.value)
        assert client.train(SHORT).state is RunState.SUCCEEDED


def test_a_truncated_dataset_is_an_error(tmp_path: Path, mnist_dir: Path) -> None:
    whole = (mnist_dir / "mnist.npz").read_bytes()
    data = tmp_path / "data"
    data.mkdir()
    (data / "mnist.npz").write_bytes(whole[: len(whole) // 2])
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with server_under_test(tmp_path, url, "--data-dir", str(data)) as server, Client(server.address) as client:
        with pytest.raises(LoopbenchError) as caught:
            client.train(RunSpec(epochs=1))
        assert caught.value.reason == "DATASET_CORRUPT"
        # Repaired while the server runs.
        (data / "mnist.npz").write_bytes(whole)
        assert client.train(RunSpec(epochs=1)).state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("flags", "reason"), [(("--run-seconds", "2"), "TIME_EXCEEDED"), (("--run-megabytes", "20"), "MEMORY_EXCEEDED")]
)
def test_a_process_that_exceeds_its_limits_is_killed(tmp_path: Path, flags: tuple[str, str], reason: str) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with server_under_test(tmp_path, url, "--slots", "1", *flags) as server, Client(server.address) as client:
        with pytest.raises(RunFailedError) as caught:
            client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER))
        assert caught.value.reason == reason
        assert client.get_run(caught.value.run_id).state is RunState.FAILED
        assert not server.workers()
        assert client.get_server_info().running == 0
