import math
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from loopbench import spec
from loopbench.spec import RunError, RunState
from loopbench_server.errors import RunNotFoundError, ServerLostError
from loopbench_server.store.store import Store

MakeRun = Callable[..., spec.Run]
LOST = RunError(reason="SERVER_LOST", message="gone", retryable=True)
CANCELLED = RunError(reason="RUN_CANCELLED", message="on request")


def succeeded(run: spec.Run, result: spec.Result) -> spec.Run:
    return run.model_copy(update={"state": RunState.SUCCEEDED, "result": result})


def test_a_run_is_found_by_both_its_ids(store: Store, make_run: MakeRun) -> None:
    run = make_run(spec=spec.RunSpec(optimizer=spec.AdamW(beta_1=0.1), seed=2**32 - 1))
    assert store.add(run) == run
    assert store.get(run.id) == run
    assert store.find_request(run.request_id) == run
    assert store.find_request(make_run(2).request_id) is None
    with pytest.raises(RunNotFoundError) as caught:
        store.get(make_run(2).id)
    assert caught.value.metadata == {"run_id": make_run(2).id}


def test_a_request_id_gives_the_run_that_has_it(store: Store, make_run: MakeRun) -> None:
    first = store.add(make_run(1))
    assert store.add(make_run(2, request_id=first.request_id)) == first
    with pytest.raises(RunNotFoundError):
        store.get(make_run(2).id)


def test_the_state_of_a_run(store: Store, make_run: MakeRun, make_result: Callable[..., spec.Result]) -> None:
    run = store.add(make_run())
    diverged = make_result(reported_train=spec.ReportedMetrics(loss=math.inf, accuracy=0))
    ended = succeeded(run, diverged)
    store.update(ended, b"first")
    assert store.get(run.id) == ended
    assert store.get_weights(run.id) == b"first"
    # An ended run does not change.
    with pytest.raises(ServerLostError):
        store.update(run.model_copy(update={"state": RunState.FAILED, "error": LOST}))
    assert store.get(run.id) == ended


def test_nan_is_kept(store: Store, make_run: MakeRun, make_result: Callable[..., spec.Result]) -> None:
    lost = make_result(train=spec.FinalMetrics(loss=math.nan, accuracy=0, correct=0, samples=9))
    store.add(succeeded(make_run(), lost))
    read = store.get(make_run().id).result
    assert read is not None
    assert math.isnan(read.train.loss)


def test_epochs_come_in_order(store: Store, make_run: MakeRun, make_epoch: Callable[..., spec.EpochRecord]) -> None:
    run, other = store.add(make_run(1)), store.add(make_run(2))
    for number in (2, 10, 1):
        store.add_epoch(run.id, make_epoch(number))
    store.add_epoch(other.id, make_epoch(1))
    assert store.get_epochs(run.id) == (make_epoch(1), make_epoch(2), make_epoch(10))


def test_deleting_a_run_deletes_all_of_it(
    store: Store, make_run: MakeRun, make_epoch: Callable[..., spec.EpochRecord]
) -> None:
    for run in (make_run(1), make_run(2)):
        store.add(run)
        store.add_epoch(run.id, make_epoch())
        assert not store.delete(run.id), "it is under way"
        store.update(run.model_copy(update={"state": RunState.SUCCEEDED}), b"weights")
    gone, stays = make_run(1).id, make_run(2).id
    assert store.delete(gone)
    with pytest.raises(RunNotFoundError):
        store.get(gone)
    assert (store.get_epochs(gone), store.get_weights(gone)) == ((), None)
    assert (store.get_epochs(stays), store.get_weights(stays)) == ((make_epoch(),), b"weights")


@pytest.fixture
def _restarted_before_it_is_deleted(store: Store, there: Store, make_run: MakeRun) -> Iterator[None]:
    """A run that ended long ago and that another server restarts just before ``store`` deletes it."""
    store.add(make_run())
    store.update(make_run(state=RunState.CANCELLED, error=CANCELLED, end_time=make_run().create_time))
    restarted: list[bool] = []

    def restart(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("DELETE") and not restarted:
            restarted.append(there.restart(make_run()))

    sa.event.listen(store._engine, "before_cursor_execute", restart)
    yield
    assert restarted == [True]
    assert there.get(make_run().id).state is RunState.QUEUED


@pytest.mark.usefixtures("_restarted_before_it_is_deleted")
def test_a_restarted_run_is_not_deleted(store: Store, make_run: MakeRun) -> None:
    assert not store.delete(make_run().id)


@pytest.mark.usefixtures("_restarted_before_it_is_deleted")
def test_a_restarted_run_is_not_expired(store: Store) -> None:
    assert store.delete_old_runs(datetime.now(UTC)) == []


def test_a_restart_forgets_the_attempt_before(
    store: Store, make_run: MakeRun, make_epoch: Callable[..., spec.EpochRecord]
) -> None:
    run = store.add(make_run(state=RunState.RUNNING))
    store.add_epoch(run.id, make_epoch(1))
    store.update(make_run(state=RunState.FAILED, error=LOST, end_time=run.create_time))
    again = make_run(create_time=run.create_time + timedelta(seconds=1))
    store.restart(again)
    assert store.get(run.id) == again
    assert store.get_epochs(run.id) == ()
    store.add_epoch(run.id, make_epoch(1))


def test_times_keep_microseconds_and_zone(store: Store, make_run: MakeRun) -> None:
    create = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    start = datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    end = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    store.add(make_run(create_time=create, start_time=start, end_time=end))
    read = store.get(make_run().id)
    assert (read.create_time, read.start_time, read.end_time) == (create, start, end)
    assert read.start_time is not None
    assert read.start_time.isoformat() == "2026-03-29T00:30:00.000001+00:00"


def test_latest_success(store: Store, make_run: MakeRun, make_result: Callable[..., spec.Result]) -> None:
    def at(second: int) -> datetime:
        return make_run().create_time + timedelta(seconds=second)

    store.add(succeeded(make_run(2, create_time=at(2)), make_result()))
    store.add(succeeded(make_run(1, create_time=at(1)), make_result()))
    store.add(make_run(3, create_time=at(3), state=RunState.FAILED))
    store.add(succeeded(make_run(4, create_time=at(4), spec=spec.RunSpec(seed=1)), make_result()))
    assert store.find_latest_success(spec.RunSpec()).id == make_run(2).id
    # The specification includes its defaults.
    explicit = spec.RunSpec(epochs=10, optimizer=spec.Sgd(learning_rate=0.01))
    assert store.find_latest_success(explicit).id == make_run(2).id
    with pytest.raises(RunNotFoundError):
        store.find_latest_success(spec.RunSpec(seed=2))


def test_another_store_on_the_same_file_sees_the_runs(store: Store, there: Store, make_run: MakeRun) -> None:
    store.add(make_run())
    assert there.get(make_run().id) == make_run()


def test_sqlite_is_set_up(store: Store, store_url: str, make_run: MakeRun) -> None:
    store.add(make_run())
    connection = sqlite3.connect(store_url.removeprefix("sqlite:///"))
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


class TestLeases:
    def test_only_unfinished_runs_with_an_expired_lease_fail(
        self, store: Store, expiring: Store, make_run: MakeRun
    ) -> None:
        store.add(make_run(1))
        ended = [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED]
        for number, state in enumerate([RunState.QUEUED, RunState.RUNNING, *ended], 2):
            expiring.add(make_run(number, state=state))
        assert len(store.reap_expired(LOST, CANCELLED)) == 2
        states = [store.get(make_run(number).id).state for number in range(1, 7)]
        assert states == [RunState.QUEUED, RunState.FAILED, RunState.FAILED, *ended]
        failed = store.get(make_run(3).id)
        assert failed.error == LOST
        assert failed.end_time is not None
        assert store.get(make_run(5).id).error is None
        assert len(store.reap_expired(LOST, CANCELLED)) == 0

    def test_renewal_keeps_the_own_runs_alone(
        self, store: Store, expiring: Store, there: Store, make_run: MakeRun
    ) -> None:
        runs = [expiring.add(make_run(number)).id for number in (1, 2, 3)]
        store.renew_leases(runs)  # not its own
        there.renew_leases(runs[:1])
        assert len(store.reap_expired(LOST, CANCELLED)) == 2
        assert not store.get(runs[0]).state.ended

    def test_an_update_renews_the_lease_of_its_owner_alone(
        self, store: Store, expiring: Store, there: Store, make_run: MakeRun
    ) -> None:
        run = expiring.add(make_run())
        with pytest.raises(ServerLostError):
            store.update(run)
        there.update(run)
        assert len(store.reap_expired(LOST, CANCELLED)) == 0
