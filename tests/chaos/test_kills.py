"""Kill workers, the forkserver and the server during runs: no result is lost, and no run hangs or leaks."""

import random
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from loopbench.spec import Dataset, Execution, Method, Run, RunFilter, RunSpec, RunState
from loopbench_client import Client, LoopbenchError
from tests.chaos.databases import DATABASES
from tests.chaos.server_under_test import ServerUnderTest, kill, server_under_test

pytestmark = pytest.mark.slow

CALLERS = 5
# Runs of half a second to a second: long enough to be killed in any phase.
SPECS = [
    RunSpec(dataset=Dataset.DIGITS, method=method, epochs=8, seed=seed, execution=Execution.GRAPH)
    for method in (Method.GRADIENT_TAPE, Method.FIT)
    for seed in range(3)
]
# Shares of a hundred kills. Forkserver and server take seconds to restart.
SHARES = {"worker": 80, "forkserver": 10, "server": 10}
LEASE = "2"
UNFINISHED = RunFilter(states=(RunState.QUEUED, RunState.RUNNING))
SECONDS_FOR_ORPHANS = 60.0
TIMEOUT_SECONDS = 300.0


class Callers:
    """Threads that train repeatedly, each until it has a result, and keep the completed runs."""

    def __init__(self, address: str) -> None:
        self.completed: list[Run] = []
        self.refusals: Counter[str] = Counter()
        self._address = address
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CALLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops the threads after their last results."""
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads), "a caller never got its result"

    def _work(self, number: int) -> None:
        choice = random.Random(number)  # noqa: S311  no secret
        with Client(self._address) as client:
            while not self._stop.is_set():
                self.completed.append(self._trained(client, choice.choice(SPECS), str(uuid.uuid4())))

    def _trained(self, client: Client, spec: RunSpec, request_id: str) -> Run:
        while True:
            try:
                return client.train(spec, request_id=request_id)
            except LoopbenchError as error:
                self.refusals[error.reason or type(error).__name__] += 1
                time.sleep(0.2)


def _kill_server(server: ServerUnderTest) -> bool:
    below = [process for process in server.processes() if process.pid != getattr(server.process, "pid", None)]
    server.kill()
    end = time.monotonic() + SECONDS_FOR_ORPHANS
    while any(process.is_running() for process in below):
        assert time.monotonic() < end, f"left behind: {[process.cmdline() for process in below]}"
        time.sleep(0.05)
    server.start()
    return True


def _kill_one(server: ServerUnderTest, kind: str) -> bool:
    if kind == "server":
        return _kill_server(server)
    found = server.workers() if kind == "worker" else server.forkserver()
    return bool(found) and kill(random.choice(found))  # noqa: S311  no secret


def _order(count: int) -> list[str]:
    order = [kind for kind, share in SHARES.items() for _ in range(max(1, count * share // 100))]
    random.shuffle(order)
    return order


def _kill_all(server: ServerUnderTest, count: int) -> Counter[str]:
    killed: Counter[str] = Counter()
    for kind in _order(count):
        end = time.monotonic() + TIMEOUT_SECONDS
        while not _kill_one(server, kind):
            assert time.monotonic() < end, f"there is no {kind} to kill: {server.log[-2000:]}"
            time.sleep(0.02)
        killed[kind] += 1
        time.sleep(random.uniform(0, 0.4))  # noqa: S311  no secret
    return killed


@pytest.mark.parametrize("kind", DATABASES)
def test_kills_lose_nothing(kind: str, tmp_path: Path, pytestconfig: pytest.Config, store_url: str) -> None:
    count: int = pytestconfig.getoption("--kills")
    with server_under_test(
        tmp_path, store_url, "--slots", "2", "--lease-seconds", LEASE, "--drain-seconds", "0"
    ) as server:
        with Client(server.address) as client:
            expected = {spec: client.train(spec) for spec in SPECS}
        callers = Callers(server.address)
        callers.start()
        try:
            killed = _kill_all(server, count)
        finally:
            callers.stop()
        completed = [*expected.values(), *callers.completed]
        with Client(server.address) as client:
            _assert_nothing_is_lost(client, expected, completed)
            _assert_nothing_is_stuck(client)
        assert server.stop() == 0
        assert server.processes() == []
    print(f"{kind}: killed {dict(killed)}; {len(completed)} results, all kept; refusals {dict(callers.refusals)}")


def _assert_nothing_is_lost(client: Client, expected: dict[RunSpec, Run], completed: list[Run]) -> None:
    for run in completed:
        assert run.result is not None
        assert client.get_run(run.id) == run
        first = expected[run.spec].result
        assert first is not None
        assert run.result.weights_digest == first.weights_digest
    for run in (completed[0], completed[-1]):
        assert run.result is not None
        assert client.evaluate(run.id).validation == run.result.validation


def _assert_nothing_is_stuck(client: Client) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while [*client.list_runs(UNFINISHED)]:
        assert time.monotonic() < end, "a run is stuck"
        time.sleep(0.1)
