"""The load generator of the benchmarks on a real server: its watchers receive everything."""

import asyncio

import pytest

from benchmarks.load import load
from loopbench.spec import Dataset, RunSpec
from loopbench_client import Client
from tests.support.servers import ServerProcess

pytestmark = pytest.mark.slow

EPOCHS, WATCHERS, RATE = 20, 30, 20


def test_all_watchers_and_calls_are_counted(server: ServerProcess, client: Client) -> None:
    ended = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1))
    run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=EPOCHS), detach=True)
    found = asyncio.run(load(server.address, run.id, ended_run_id=ended.id, rate=RATE, duration=1.5, watchers=WATCHERS))
    assert {name: len(values) for name, values in found["latencies"].items()} == {
        "GetRun, a run under way": 10,
        "GetRun, an ended run": 10,
        "health": 10,
    }
    assert len(found["watchers"]) == WATCHERS
    result = client.get_run(run.id).result
    assert result is not None
    for watcher in found["watchers"]:
        assert watcher["epochs"] == list(range(1, EPOCHS + 1))
        assert watcher["final_digest"] == result.weights_digest
