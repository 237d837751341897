"""Hours of jobs on two servers and one store: nothing grows, and no run is lost. The time between jobs is left out."""

import json
import random
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from loopbench.spec import Dataset, Execution, Method, RunFilter, RunGroup, RunSpec, RunState, Verdict
from loopbench_client import Client
from tests.chaos.server_under_test import ServerUnderTest
from tests.support.servers import eventually

pytestmark = pytest.mark.slow

HOUR = 3_600
RUNS_AN_HOUR = 12
KEPT_HOURS = 3
# Interval of the hours in which a run continues while the clock jumps, like on a suspended machine.
HOURS_BETWEEN_LONG_RUNS = 3
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
# Hours until allocators and caches stop growing.
HOURS_TO_SETTLE = 6
GROWTH = 1.1
# The unchanged server, except for the interval of its retention.
PROGRAM = """
from loopbench_server.runs.maintenance import retention
retention.POLL_INTERVAL_SECONDS = 2.0
from loopbench_server.__main__ import main
main()
"""


class Clock:
    """The wall clock of the servers."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler (cc)")
        self.library = folder / "shifted_clock.so"
        source = Path(__file__).with_name("shifted_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(self.library), str(source), "-ldl"], check=True)
        self.file = folder / "shift"
        self.hours = 0
        self.file.write_bytes(struct.pack("q", 0))

    def pass_an_hour(self) -> None:
        self.hours += 1
        with self.file.open("r+b") as file:
            file.write(struct.pack("q", self.hours * HOUR))


@dataclass(frozen=True)
class Sample:
    """A server and the store after ``hour``; memory in bytes."""

    hour: int
    rss: int
    files: int
    threads: int
    children: int
    rows: int
    database: int

    def __str__(self) -> str:
        return json.dumps(vars(self))


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(tmp_path)
    monkeypatch.setenv("LOOPBENCH_TESTS_SHIFT", str(made.file))
    return made


@pytest.fixture
def servers(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ServerUnderTest]]:
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            flags = ("--slots", "1", "--drain-seconds", "0", "--keep-runs-days", str(KEPT_HOURS / 24))
            server = ServerUnderTest(folder, f"sqlite:///{tmp_path / 'runs.db'}", *flags)
            server._command[1:3] = ["-c", PROGRAM]
            with monkeypatch.context() as preloading:
                preloading.setenv("LD_PRELOAD", str(clock.library))
                server.start()
            stack.callback(server.stop)
            made.append(server)
        for server in made:
            server.wait_ready()
        yield made


def test_hours_of_jobs_leave_nothing_behind(
    servers: list[ServerUnderTest], clock: Clock, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    hours: int = request.config.getoption("--simulated-hours")
    samples: list[Sample] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for server in servers]
        database = sqlite3.connect(tmp_path / "runs.db", timeout=60)
        stack.callback(database.close)
        for hour in range(1, hours + 1):
            if hour % HOURS_BETWEEN_LONG_RUNS:
                clock.pass_an_hour()
            else:
                an_hour_passes_under_a_run(clock, clients)
            jobs_of_an_hour(hour, clients)
            samples.append(sample(hour, servers[0], database, tmp_path))
            print(samples[-1], flush=True)
        last = clients[0].train(LONG.model_copy(update={"epochs": 1}))
        first = next(iter(clients[1].list_runs(RunFilter(states=(RunState.SUCCEEDED,)))))
        assert first == last
    for server in servers:
        assert '"run ended because its server vanished"' not in server.log
        assert '"level": "critical"' not in server.log
    kept = (KEPT_HOURS + 1) * (RUNS_AN_HOUR + 1) + len(servers)
    assert all(one.rows <= kept for one in samples)
    if hours > HOURS_TO_SETTLE:
        settled, end = samples[HOURS_TO_SETTLE], samples[-1]
        assert end.rss <= GROWTH * settled.rss
        assert end.files <= settled.files
        assert end.threads <= settled.threads


def an_hour_passes_under_a_run(clock: Clock, clients: list[Client]) -> None:
    """Advances the clock during a run, so that its lease appears expired to the other server."""
    run = clients[0].train(LONG, detach=True)
    eventually(lambda: any(event.progress for event in [next(clients[0].watch_run(run.id))]))
    clock.pass_an_hour()
    epochs = len(next(clients[1].watch_run(run.id)).epochs)
    eventually(lambda: len(next(clients[1].watch_run(run.id)).epochs) > epochs + 3)
    assert clients[1].cancel_run(run.id).state is RunState.CANCELLED


def jobs_of_an_hour(hour: int, clients: list[Client]) -> None:
    """Trains three methods with four seeds on both servers; checks that they agree, and evaluates one run."""
    specs = [
        RunSpec(dataset=Dataset.DIGITS, epochs=1, method=method, seed=hour * 10 + seed)
        for method in Method
        for seed in range(RUNS_AN_HOUR // len(Method))
    ]
    with ThreadPoolExecutor(len(clients) * 2) as threads:
        places = [random.Random(hour).choice(clients) for _ in specs]  # noqa: S311  a load is no secret
        runs = [*threads.map(lambda client, spec: client.train(spec), places, specs)]
    groups = [
        RunGroup(label=method.name, run_ids=tuple(run.id for run in runs if run.spec.method is method))
        for method in Method
    ]
    for client in clients:
        assert {pair.verdict for pair in client.compare(groups).pairs} == {Verdict.IDENTICAL}
    result = runs[0].result
    assert result is not None
    assert clients[1].evaluate(runs[0].id).validation == result.validation
    assert all(timedelta() <= (run.end_time or run.create_time) - run.create_time < timedelta(hours=1) for run in runs)


def sample(hour: int, server: ServerUnderTest, database: sqlite3.Connection, folder: Path) -> Sample:
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    eventually(lambda: not server.workers() and server.standby_workers())
    limit = (KEPT_HOURS + 1) * (RUNS_AN_HOUR + 1)

    def rows() -> int:
        return int(database.execute("SELECT count(*) FROM runs").fetchone()[0])

    eventually(lambda: rows() <= limit)
    children = len(process.children(recursive=True))
    size = sum(path.stat().st_size for path in folder.glob("runs.db*"))
    return Sample(hour, process.memory_info().rss, process.num_fds(), process.num_threads(), children, rows(), size)
