"""A database file that is deleted, replaced or damaged while the server runs."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunSpec, RunState
from loopbench_server.errors import StoreCorruptError, StoreReplacedError
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.retry import retry_until
from loopbench_server.store.store import Store
from loopbench_server.workers.protocol import Trained

MakeRun = Callable[..., spec.Run]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def delete(file: Path) -> None:
    for path in file.parent.glob("runs.db*"):
        path.unlink()


def replace(file: Path) -> None:
    delete(file)
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE other (x)")


def delete_log(file: Path) -> None:
    (file.parent / "runs.db-wal").unlink()


@pytest.mark.parametrize("harm", [delete, replace, delete_log])
def test_no_write_is_confirmed_without_the_file(
    harm: Callable[[Path], None], file: Path, store: Store, make_run: MakeRun
) -> None:
    store.add(make_run(1))
    harm(file)
    for _ in range(2):
        with pytest.raises(StoreReplacedError) as caught:
            store.add(make_run(2))
        assert caught.value.retryable
        assert str(file.parent) not in str(caught.value)
        with pytest.raises(StoreReplacedError):
            store.get(make_run(1).id)
    assert not store.is_durable


def test_no_connection_makes_an_empty_file(file: Path, store: Store, make_run: MakeRun) -> None:
    store.close()
    delete(file)
    with pytest.raises(StoreReplacedError):
        store.add(make_run(1))
    assert not file.exists()


def test_a_restored_file_is_used(file: Path, store: Store, make_run: MakeRun) -> None:
    store.add(make_run(1))
    away = file.rename(file.with_name("away"))
    with pytest.raises(StoreReplacedError):
        store.get(make_run(1).id)
    away.rename(file)
    assert store.get(make_run(1).id) == make_run(1)
    assert store.is_durable


async def test_a_run_does_not_succeed_when_its_file_disappears(
    scheduler: Scheduler, pool: Any, file: Path, make_result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler._store, "lease", timedelta(seconds=0))
    run = await scheduler.submit(RunSpec(), "r", "me")
    worker = await pool.begun()
    delete(file)
    worker.send(Trained(result=make_result()))
    with pytest.raises(StoreReplacedError):
        await scheduler.wait(run.id)


def damage(file: Path, store: Store, make_run: MakeRun) -> None:
    """Overwrite all pages except the first, which has the schema."""
    for number in range(1, 60):
        store.add(make_run(number))
    store.close()
    pages = file.read_bytes()
    file.write_bytes(pages[:4096] + b"\xaa" * (len(pages) - 4096))


async def test_a_damaged_database_is_not_queried_and_takes_no_runs(file: Path, store: Store, make_run: MakeRun) -> None:
    damage(file, store, make_run)
    with pytest.raises(StoreCorruptError) as caught:
        await retry_until(store.lease, store.list, spec.RunFilter(), 10, "")
    assert not caught.value.retryable
    assert not store.is_durable
    for take_in in (store.add, store.restart):
        with pytest.raises(StoreCorruptError):
            take_in(make_run(99))


def test_damage_is_found_before_a_query_reads_it(file: Path, store: Store, make_run: MakeRun) -> None:
    for number in range(1, 200):
        store.add(make_run(number, state=RunState.SUCCEEDED))
    store.check_integrity()
    assert store.is_durable
    store.close()
    # A page in the middle of the table, so some rows stay readable.
    pages = bytearray(file.read_bytes())
    page = len(pages) // 4096 // 2
    pages[4096 * page : 4096 * (page + 1)] = b"\xaa" * 4096
    file.write_bytes(pages)
    with pytest.raises(StoreCorruptError):
        store.check_integrity()
    assert not store.is_durable
