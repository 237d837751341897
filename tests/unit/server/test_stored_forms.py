"""JSON in rows: its form is pinned to a schema revision, and rows of a newer server are handled."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from loopbench import spec
from loopbench.spec import EpochRecord, Result, RunError, RunFilter, RunSpec, RunState
from loopbench_server.errors import RunUnreadableError
from loopbench_server.runs import remote_runs
from loopbench_server.runs.maintenance import ended_runs
from loopbench_server.runs.maintenance.ended_runs import ResultObserver, follow_results
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.migrate import HEAD
from loopbench_server.store.schema import epochs, runs
from loopbench_server.store.store import Store

STORED = (RunSpec, Result, RunError, EpochRecord)
# The newest revision and the digest of its JSON schemas.
PINNED = ("0009", "691d6b6573ae4d8285fac81176aeba95081c3efde05496e4addb374c91ca4685")


def without_words(schema: Any) -> Any:
    """The schema without descriptions."""
    if isinstance(schema, dict):
        return {name: without_words(part) for name, part in schema.items() if name != "description"}
    return [*map(without_words, schema)] if isinstance(schema, list) else schema


def test_the_stored_form_is_pinned_to_the_newest_revision() -> None:
    schemas = [without_words(model.model_json_schema()) for model in STORED]
    digest = hashlib.sha256(json.dumps(schemas, sort_keys=True).encode()).hexdigest()
    assert (HEAD, digest) == PINNED, (
        "What rows hold has changed: older servers cannot read it. Add a revision to store/migrations/versions, "
        "though no table changes, so that they refuse the database; then put it here with the digest."
    )


@pytest.fixture
def newer(there: Store, make_run: Callable[..., spec.Run]) -> Callable[..., spec.Run]:
    """Stores a run as a newer server does: ``column`` has an unknown field."""

    def store_it(number: int, column: str = "spec", **fields: Any) -> spec.Run:
        run = there.add(make_run(number, **fields))
        known = run.spec if column == "spec" else spec.RunError(reason="R", message="m")
        values = {column: json.dumps({**json.loads(known.model_dump_json()), "newer_field": 1})}
        with there.transaction() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run.id).values(values))
        return run

    return store_it


@pytest.mark.parametrize("column", ["spec", "error"])
def test_a_run_that_cannot_be_read_is_named(store: Store, newer: Any, column: str) -> None:
    run = newer(1, column)
    with capture_logs() as logged, pytest.raises(RunUnreadableError, match=run.id) as caught:
        store.get(run.id)
    assert caught.value.metadata == {"run_id": run.id}
    (line,) = logged
    assert line["run_id"] == run.id
    assert "newer_field" in line["error"]


def test_an_epoch_that_cannot_be_read_names_its_run(store: Store, there: Store, make_run: Any, make_epoch: Any) -> None:
    run = there.add(make_run())
    there.add_epoch(run.id, make_epoch())
    with there.transaction() as connection:
        connection.execute(sa.update(epochs).values(record='{"newer_field": 1}'))
    with pytest.raises(RunUnreadableError, match=run.id):
        store.get_epochs(run.id)


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_the_other_runs_are_still_listed(store: Store, newer: Any, make_run: Any, size: int) -> None:
    listed, token = [], ""
    for number in (1, 2, 3, 4):
        newer(number) if number in (2, 4) else store.add(make_run(number))
    while True:
        page, token = store.list(RunFilter(), size, token)
        listed += [run.id for run in page]
        if not token:
            break
    assert sorted(listed) == [make_run(1).id, make_run(3).id]


class Found(ResultObserver):
    """Records the ids of found runs."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def run_found(self, run: spec.Run) -> None:
        self.ids.append(run.id)


async def test_results_are_followed_past_one_that_cannot_be_read(
    store: Store, newer: Any, make_run: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "POLL_INTERVAL_SECONDS", 0.001)
    ended = {"state": RunState.CANCELLED, "end_time": datetime.now(UTC)}
    newer(1, **ended)
    store.add(make_run(2, **ended))
    found = Found()
    with capture_logs() as logged:
        following = asyncio.create_task(follow_results(store, found))
        await eventually(lambda: bool(found.ids))
        store.add(make_run(3, **ended | {"end_time": datetime.now(UTC)}))
        await eventually(lambda: len(found.ids) == 2)
        following.cancel()
    assert found.ids == [make_run(2).id, make_run(3).id]
    assert [line["run_id"] for line in logged] == [make_run(1).id], "logged once"


async def test_following_a_run_that_becomes_unreadable_is_an_error(
    scheduler: Scheduler, there: Store, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_runs, "POLL_INTERVAL_SECONDS", 0.001)
    run = there.add(make_run())
    events = scheduler.watch(run.id)
    assert (await anext(events)).state is RunState.QUEUED
    with there.transaction() as connection:
        connection.execute(sa.update(runs).values(error='{"newer_field": 1}'))
    with pytest.raises(RunUnreadableError, match=run.id):
        [_ async for _ in events]


# Fields of a result in schema 0003. A server of that schema refuses a result with any other field.
OF_0003 = {
    "dataset",
    "train",
    "validation",
    "reported_train",
    "reported_validation",
    "history",
    "weights_digest",
    "batch_order_digest",
    "updates",
    "phases",
    "environment",
    "tensorboard_dir",
}


def stored_result(store: Store, run: spec.Run) -> set[str]:
    with store.transaction() as connection:
        return set(json.loads(connection.execute(sa.select(runs.c.result).where(runs.c.id == run.id)).scalar_one()))


def test_a_result_with_nothing_new_has_the_fields_of_an_older_schema(
    store: Store, make_run: Any, make_result: Any
) -> None:
    ended = {"state": RunState.SUCCEEDED, "end_time": datetime.now(UTC)}
    plain = store.add(make_run(1, **ended, result=make_result()))
    assert stored_result(store, plain) <= OF_0003
    assert store.get(plain.id) == plain
    diverged = store.add(make_run(2, **ended, result=make_result(diverged=spec.Divergence(epoch=1))))
    assert stored_result(store, diverged) - OF_0003 == {"diverged"}
    assert store.get(diverged.id) == diverged
    noted = store.add(make_run(3, **ended, result=make_result(notes=("slow",))))
    assert stored_result(store, noted) - OF_0003 == {"notes"}
    assert store.get(noted.id) == noted
