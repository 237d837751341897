"""A store that refuses writes is not durable until it stores one again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from loopbench import spec
from loopbench.spec import RunFilter
from loopbench_server.errors import StoreFailedError, StoreReplacedError
from loopbench_server.store.store import Store
from loopbench_server.store.transactions import TransactionObserver

MakeRun = Callable[..., spec.Run]


class Disk:
    """The disk below a store. While it is full, the database refuses writes and still reads."""

    def __init__(self, store: Store) -> None:
        self.full = False
        sa.event.listen(store._engine, "checkout", self._connect)

    def _connect(self, connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA query_only={self.full:d}")


@pytest.fixture
def disk(store: Store) -> Disk:
    return Disk(store)


def test_a_store_follows_its_writes(disk: Disk, store: Store, make_run: MakeRun) -> None:
    disk.full = True
    with pytest.raises(StoreFailedError):
        store.add(make_run(1))
    for _ in range(2):
        # Reads succeed.
        assert store.list(RunFilter(), 10, "")[0] == []
        with pytest.raises(StoreFailedError):
            store.check_writes()
        assert not store.is_durable
    disk.full = False
    store.check_writes()
    assert store.is_durable
    assert store.list(RunFilter(), 10, "")[0] == [], "the check leaves no run"


def test_a_store_without_its_file_is_checked_until_the_file_returns(
    disk: Disk, store: Store, make_run: MakeRun, tmp_path: Path
) -> None:
    disk.full = True
    with pytest.raises(StoreFailedError):
        store.add(make_run(1))
    disk.full = False
    away = (tmp_path / "runs.db").rename(tmp_path / "away")
    with pytest.raises(StoreReplacedError):
        store.check_writes()
    assert not store.is_durable
    away.rename(tmp_path / "runs.db")
    store.check_writes()
    assert store.is_durable


def test_one_refused_transaction_does_not_count(disk: Disk, store: Store, make_run: MakeRun) -> None:
    disk.full = True
    with pytest.raises(StoreFailedError):
        store.add(make_run(1))
    assert store.is_durable
    disk.full = False
    store.check_writes()
    assert store.is_durable


def test_a_store_without_refusals_is_not_checked(
    store: Store, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(make_run(1))
    ended: list[float] = []
    monkeypatch.setattr(
        TransactionObserver,
        "transaction_ended",
        lambda _, seconds, *, refused: ended.append(seconds),  # noqa: ARG005
    )
    store.check_writes()
    assert ended == []


def test_the_reserved_connections_count_too(store: Store, store_url: str) -> None:
    reserved = sa.create_engine(store_url)
    other = Store(store._engine, "here", store.lease, reserved=reserved)
    disk = Disk(other)
    sa.event.listen(reserved, "checkout", lambda connection, *_: connection.execute("PRAGMA query_only=1"))
    with pytest.raises(StoreFailedError):
        other.renew_leases(["any"])
    disk.full = True
    with pytest.raises(StoreFailedError):
        other.check_writes()
    assert not other.is_durable
    reserved.dispose()
