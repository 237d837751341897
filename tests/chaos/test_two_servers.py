"""Two servers on one PostgreSQL answer for each other's runs."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopbench.spec import Dataset, Execution, RunSpec, RunState
from loopbench_client import Client
from tests.chaos.server_under_test import Victim, victim
from tests.support.postgresql import Cluster

LEASE = "6"
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)


def digits(epochs: int, **fields: Any) -> RunSpec:
    return RunSpec(dataset=Dataset.DIGITS, epochs=epochs, **fields)


@pytest.fixture
def servers(tmp_path: Path, postgresql: Cluster) -> Iterator[tuple[Victim, Victim]]:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    flags = ("--slots", "1", "--lease-seconds", LEASE, "--drain-seconds", "0")
    with victim(folders[0], postgresql.url, *flags) as one, victim(folders[1], postgresql.url, *flags) as two:
        yield one, two


@pytest.fixture
def clients(servers: tuple[Victim, Victim]) -> Iterator[tuple[Client, Client]]:
    with Client(servers[0].address) as one, Client(servers[1].address) as two:
        yield one, two


def under_way(client: Client, spec: RunSpec, request_id: str | None = None) -> str:
    run = client.train(spec, request_id=request_id, detach=True)
    for event in client.watch(run.id):
        if event.progress and event.progress.step:
            break
    return run.id


def test_a_run_is_watched_and_waited_for_at_the_other_server(clients: tuple[Client, Client]) -> None:
    one, two = clients
    spec, request_id = digits(40, execution=Execution.EAGER), str(uuid.uuid4())
    run_id = under_way(one, spec, request_id)
    assert two.get(run_id).state is RunState.RUNNING
    events = [*two.watch(run_id)]
    assert [record.epoch for event in events for record in event.epochs] == [*range(1, 41)]
    assert len(events) > 3, "it was watched while it trained"
    assert events[-1].run == one.get(run_id) == two.train(spec, request_id=request_id)
    assert two.evaluate(run_id).validation == two.get(run_id).result.validation  # type: ignore[union-attr]


def test_a_run_is_cancelled_by_the_other_server(servers: tuple[Victim, Victim], clients: tuple[Client, Client]) -> None:
    one, two = clients
    run_id = under_way(one, LONG)
    (worker,) = servers[0].workers()
    cancelled = two.cancel(run_id)
    assert not psutil.pid_exists(worker.pid)
    assert cancelled.error is not None
    assert (cancelled.state, cancelled.error.reason) == (RunState.CANCELLED, "RUN_CANCELLED")
    assert one.get(run_id) == cancelled
    assert one.train(digits(1)).state is RunState.SUCCEEDED


def test_the_other_server_ends_the_run_of_one_that_died_and_trains_it_anew(
    servers: tuple[Victim, Victim], clients: tuple[Client, Client]
) -> None:
    one, two = clients
    spec, request_id = digits(60, execution=Execution.EAGER), str(uuid.uuid4())
    expected = two.train(digits(60)).result
    run_id = under_way(one, spec, request_id)
    servers[0].kill()
    watched = [*two.watch(run_id)][-1].run
    assert watched is not None
    assert watched.error is not None
    assert (watched.state, watched.error.reason, watched.error.retryable) == (RunState.FAILED, "SERVER_LOST", True)
    again = two.train(spec, request_id=request_id)
    assert (again.id, again.state) == (run_id, RunState.SUCCEEDED)
    # The same weights, bit for bit, as GRAPH, which nothing disturbed.
    assert expected is not None
    assert again.result is not None
    assert again.result.weights_digest == expected.weights_digest
    assert [record.epoch for record in again.result.history] == [*range(1, 61)]
    assert not servers[0].processes()
