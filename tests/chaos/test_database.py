"""A database that is away, full, read-only, or not what it was; and service afterwards."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from loopbench.spec import Dataset, Execution, Run, RunError, RunSpec, RunState
from loopbench_client import Client, LoopbenchError, RunFailedError, ServerError, ServerUnavailableError
from tests.chaos.server_under_test import victim
from tests.support.postgresql import Cluster

SECONDS_AWAY = 10
MANY = 80
SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)


def test_a_database_that_is_away_for_a_while_loses_nothing(tmp_path: Path, postgresql: Cluster) -> None:
    with victim(tmp_path, postgresql.url, "--slots", "2") as server, Client(server.address) as client:
        ended = client.train(SHORT)
        run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=30, execution=Execution.EAGER), detach=True)
        events = client.watch(run.id)
        while not next(events).epochs:
            pass
        postgresql.stop()
        end = time.monotonic() + SECONDS_AWAY
        while time.monotonic() < end:
            with pytest.raises(ServerUnavailableError) as caught:
                client.get(ended.id)
            assert caught.value.reason == "STORE_FAILED"
            assert client.server_info().ready
            time.sleep(1)
        postgresql.start()
        last = [*events][-1].run
        assert last is not None
        assert last.state is RunState.SUCCEEDED
        assert client.get(run.id) == last
        assert client.get(ended.id) == ended
        # The epochs that ended while the database was away are stored as well.
        assert [record.epoch for record in next(client.watch(run.id)).epochs] == [*range(1, 31)]
        assert client.train(SHORT).state is RunState.SUCCEEDED


def test_a_database_that_stands_still_holds_up_no_run(tmp_path: Path, postgresql: Cluster) -> None:
    long = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
    flags = ("--slots", "2", "--lease-seconds", "300")
    with victim(tmp_path, postgresql.url, *flags) as server, Client(server.address, timeout=240) as client:
        ended = client.train(SHORT)
        first, second = (client.train(long, detach=True) for _ in range(2))
        events = client.watch(first.id)
        while not next(events).epochs:
            pass
        with ThreadPoolExecutor(MANY) as callers, postgresql.standing_still():
            # More than there are threads and connections for the store. DeleteRun, because it is not tried again.
            refusals = [callers.submit(client.delete, ended.id) for _ in range(MANY)]
            cancelling = callers.submit(client.cancel, second.id)
            while len(server.workers()) > 1:
                assert not cancelling.done(), "its end cannot be stored"
            assert not all(refusal.done() for refusal in refusals)
            assert {getattr(refusal.exception(), "reason", None) for refusal in refusals} == {"STORE_FAILED"}
            assert "the database refused" in server.log
            assert client.server_info().ready
        assert cancelling.result().state is RunState.CANCELLED
        assert client.get(ended.id) == ended
        while not next(events).epochs:
            pass
        assert client.cancel(first.id).state is RunState.CANCELLED
        assert client.train(SHORT).state is RunState.SUCCEEDED


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes, which can be made larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def trained_until_refused(client: Client) -> tuple[list[Run], RunError]:
    """Runs with a result each, and why there is no other. The weights of each take a megabyte."""
    told: list[Run] = []
    for seed in range(10):
        begun = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, seed=seed), detach=True)
        run = [*client.watch(begun.id)][-1].run
        assert run is not None
        if run.error:
            return told, run.error
        told.append(run)
    pytest.fail("the disk is not full")


def test_a_full_disk_is_told_and_no_result_that_is_not_kept(tmp_path: Path, tiny_disk: Path) -> None:
    url = f"sqlite:///{tiny_disk / 'runs.db'}"
    with victim(tmp_path, url, "--lease-seconds", "1") as server, Client(server.address) as client:
        told, refused = trained_until_refused(client)
        assert told
        assert refused.reason == "STORE_FAILED"
        assert "database or disk is full" in server.log
        assert [client.get(run.id) for run in told] == told
        subprocess.run(["mount", "-o", "remount,size=40m", str(tiny_disk)], check=True)
        assert client.train(SHORT).state is RunState.SUCCEEDED


def make_read_only(url: str, value: str) -> None:
    """For all sessions, those that there are already as well, as where a standby takes over."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    found = None
    while found != value:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SHOW default_transaction_read_only").scalar()


def test_a_store_that_becomes_read_only_is_told_and_serves_again(tmp_path: Path, postgresql: Cluster) -> None:
    with victim(tmp_path, postgresql.url) as server, Client(server.address) as client:
        told = client.train(SHORT)
        make_read_only(postgresql.url, "on")
        with pytest.raises(ServerUnavailableError) as caught:
            client.train(SHORT)
        assert caught.value.reason == "STORE_FAILED"
        assert "read-only transaction" in server.log
        assert client.server_info().ready
        assert client.get(told.id) == told
        make_read_only(postgresql.url, "off")
        again = client.train(SHORT)
        assert again.result is not None
        assert told.result is not None
        assert again.result.weights_digest == told.result.weights_digest


def start_on(url: str) -> subprocess.CompletedProcess[str]:
    """A server that does not come to serve."""
    command = [sys.executable, "-m", "loopbench_server", "--address", "127.0.0.1:0", "--metrics-address", "none"]
    return subprocess.run(
        [*command, "--store-url", url],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        stdin=subprocess.DEVNULL,
    )


def test_a_read_only_store_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    with victim(tmp_path, f"sqlite:///{file}") as server, Client(server.address) as client:
        client.train(SHORT)
    refused = start_on(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert refused.returncode == 1
    (line,) = (line for line in refused.stderr.splitlines() if not line.startswith("{"))
    assert line.startswith("loopbench-server: --store-url: the database cannot be opened: ")
    assert "readonly" in line


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "runs.db", timeout=30)
    yield connection
    connection.close()


@pytest.mark.parametrize("harm", ["substr(packed, 1, 5000)", "x'00'", "zeroblob(length(packed))", "flipped", "another"])
def test_weights_that_were_changed_are_not_evaluated(
    database: sqlite3.Connection, shared_runs: tuple[Client, str, str], harm: str
) -> None:
    client, harmed, whole = shared_runs
    (packed,) = database.execute("SELECT packed FROM weights WHERE run_id = ?", (harmed,)).fetchone()
    (other,) = database.execute("SELECT packed FROM weights WHERE run_id = ?", (whole,)).fetchone()
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]
    values = {"flipped": flipped, "another": other}
    expression, arguments = ("?", (values[harm], harmed)) if harm in values else (harm, (harmed,))
    database.execute(f"UPDATE weights SET packed = {expression} WHERE run_id = ?", arguments)  # noqa: S608  of the test's own
    database.commit()
    with pytest.raises(ServerError) as caught:
        client.evaluate(harmed)
    assert caught.value.reason == "WEIGHTS_CORRUPT"
    assert caught.value.hint
    assert client.evaluate(whole).validation.samples == 359


@pytest.fixture
def shared_runs(tmp_path: Path) -> Iterator[tuple[Client, str, str]]:
    """Two runs of a server, the first to be harmed."""
    with victim(tmp_path, f"sqlite:///{tmp_path / 'runs.db'}") as server, Client(server.address) as client:
        ids = [client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, seed=seed)).id for seed in (1, 2)]
        yield client, ids[0], ids[1]
        assert client.train(SHORT).state is RunState.SUCCEEDED


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"x" * 10_000])
def test_a_corrupt_dataset_is_told_and_others_are_served(tmp_path: Path, content: bytes) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "mnist.npz").write_bytes(content)
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with victim(tmp_path, url, "--data-dir", str(data)) as server, Client(server.address) as client:
        with pytest.raises(LoopbenchError) as caught:
            client.train(RunSpec(epochs=1))
        assert caught.value.reason == "DATASET_CORRUPT"
        assert str(tmp_path) not in caught.value.message
        assert client.train(SHORT).state is RunState.SUCCEEDED


def test_a_truncated_dataset_is_told(tmp_path: Path, mnist_dir: Path) -> None:
    whole = (mnist_dir / "mnist.npz").read_bytes()
    data = tmp_path / "data"
    data.mkdir()
    (data / "mnist.npz").write_bytes(whole[: len(whole) // 2])
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with victim(tmp_path, url, "--data-dir", str(data)) as server, Client(server.address) as client:
        with pytest.raises(LoopbenchError) as caught:
            client.train(RunSpec(epochs=1))
        assert caught.value.reason == "DATASET_CORRUPT"
        # Mended while the server runs.
        (data / "mnist.npz").write_bytes(whole)
        assert client.train(RunSpec(epochs=1)).state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("flags", "reason"), [(("--run-seconds", "2"), "TIME_EXCEEDED"), (("--run-megabytes", "20"), "MEMORY_EXCEEDED")]
)
def test_a_process_that_leaves_its_bounds_is_ended(tmp_path: Path, flags: tuple[str, str], reason: str) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with victim(tmp_path, url, "--slots", "1", *flags) as server, Client(server.address) as client:
        with pytest.raises(RunFailedError) as caught:
            client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER))
        assert caught.value.reason == reason
        assert client.get(caught.value.run_id).state is RunState.FAILED
        assert not server.workers()
        assert client.server_info().running == 0
