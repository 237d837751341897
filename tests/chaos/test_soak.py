"""A mixed load on a real server for a chosen time: nothing grows, hangs or leaks."""

import random
import statistics
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import psutil
import pytest

from loopbench import wire
from loopbench.spec import Dataset, Method, RunFilter, RunSpec, RunState
from loopbench.v1 import analysis_pb2, run_pb2
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1.benchmark_service_pb2_grpc import BenchmarkServiceStub
from tests.support.servers import ServerProcess, Start, eventually

pytestmark = pytest.mark.slow

CALLERS, SLOTS, SAMPLES = 4, 2, 12
# Seconds: longer than the longest wait in the queue.
LONGEST = 120.0
NEVER = {grpc.StatusCode.UNKNOWN.name, grpc.StatusCode.INTERNAL.name}
GROWTH = 1.03
# Allocators and caches grow until then.
MINUTES_TO_SETTLE = 10


@dataclass
class Load:
    """The callers' actions, their known runs, and the statuses of their calls."""

    stub: Any
    metrics_address: str
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  a load is no secret
    succeeded: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)

    def spec(self, epochs: int) -> run_pb2.RunSpec:
        method = self.chance.choice(list(Method))
        return wire.spec_to_wire(RunSpec(dataset=Dataset.DIGITS, epochs=epochs, method=method))

    def any_run(self) -> str:
        if not self.succeeded:
            self.train()
        return self.chance.choice([*self.succeeded])

    def train(self) -> None:
        run = self.stub.Train(pb.TrainRequest(spec=self.spec(self.chance.randint(1, 3))), timeout=LONGEST)
        self.succeeded.append(run.id)

    def train_detached(self) -> None:
        run = self.stub.Train(pb.TrainRequest(spec=self.spec(2), detach=True), timeout=LONGEST)
        *_, last = self.stub.WatchRun(pb.WatchRunRequest(run_id=run.id), timeout=LONGEST)
        assert last.state == run_pb2.RUN_STATE_SUCCEEDED

    def cancel(self) -> None:
        run = self.stub.Train(pb.TrainRequest(spec=self.spec(1_000), detach=True), timeout=LONGEST)
        time.sleep(self.chance.uniform(0, 0.5))
        self.stub.CancelRun(pb.CancelRunRequest(run_id=run.id), timeout=LONGEST)

    def go_away(self) -> None:
        call = self.stub.Train.future(pb.TrainRequest(spec=self.spec(1_000)), timeout=LONGEST)
        time.sleep(self.chance.uniform(0, 0.5))
        call.cancel()

    def watch(self) -> None:
        list(self.stub.WatchRun(pb.WatchRunRequest(run_id=self.any_run()), timeout=LONGEST))

    def get(self) -> None:
        self.stub.GetRun(pb.GetRunRequest(run_id=self.any_run()), timeout=LONGEST)

    def list_runs(self) -> None:
        self.stub.ListRuns(pb.ListRunsRequest(page_size=50), timeout=LONGEST)

    def compare(self) -> None:
        groups = [analysis_pb2.RunGroup(label=str(number), run_ids=[self.any_run()]) for number in range(3)]
        self.stub.Compare(pb.CompareRequest(groups=groups), timeout=LONGEST)

    def evaluate(self) -> None:
        self.stub.Evaluate(pb.EvaluateRequest(run_id=self.any_run()), timeout=LONGEST)

    def ask_for_nonsense(self) -> None:
        bad = run_pb2.RunSpec(epochs=-1, batch_size=0)
        self.stub.Train(pb.TrainRequest(spec=bad, request_id="no"), timeout=LONGEST)

    def scrape(self) -> None:
        with urllib.request.urlopen(f"http://{self.metrics_address}/metrics", timeout=LONGEST) as response:
            response.read()

    def do(self, name: str) -> None:
        code = grpc.StatusCode.OK
        try:
            ACTIONS[name](self)
        except grpc.RpcError as error:
            code = error.code()
        self.answers[name, code.name] += 1


ACTIONS: dict[str, Callable[[Load], None]] = {
    "train": Load.train,
    "train detached": Load.train_detached,
    "cancel": Load.cancel,
    "go away": Load.go_away,
    "watch": Load.watch,
    "get": Load.get,
    "list": Load.list_runs,
    "compare": Load.compare,
    "evaluate": Load.evaluate,
    "nonsense": Load.ask_for_nonsense,
    "scrape": Load.scrape,
}


@dataclass(frozen=True)
class Sample:
    """The server process without its children after ``seconds``; memory in bytes."""

    seconds: float
    rss: int
    uss: int
    files: int
    threads: int
    children: int

    @classmethod
    def of(cls, server: ServerProcess, start: float) -> "Sample":
        process = psutil.Process(server.process.pid)
        memory = process.memory_full_info()
        files, threads, children = process.num_fds(), process.num_threads(), len(process.children(recursive=True))
        return cls(time.monotonic() - start, memory.rss, memory.uss, files, threads, children)

    def __str__(self) -> str:
        memory = f"{self.rss / 1e6:8.1f} {self.uss / 1e6:8.1f}"
        return f"{self.seconds:8.0f} {memory} {self.files:6} {self.threads:8} {self.children:9}"


def find_children(server: ServerProcess) -> set[int]:
    """Process ids below the server, without those of standby workers: each run replaces one."""
    return {child.pid for child in server.processes()} - {child.pid for child in server.standby_workers()}


HEADINGS = "       s   RSS/MB   USS/MB  files  threads  children"


@pytest.fixture
def ready(start: Start) -> ServerProcess:
    server = start("--slots", str(SLOTS), "--queue-size", "20", "--metrics-address", "127.0.0.1:0")
    server.wait_ready()
    return server


def sampled_under_load(server: ServerProcess, load: Load, seconds: float) -> list[Sample]:
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            load.do(load.chance.choice(list(ACTIONS)))

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    start, samples = time.monotonic(), []
    for _ in range(SAMPLES):
        time.sleep(seconds / SAMPLES)
        samples.append(Sample.of(server, start))
    stop.set()
    for caller in callers:
        caller.join()
    return samples


def test_nothing_grows_or_leaks(ready: ServerProcess, request: pytest.FixtureRequest) -> None:
    with grpc.insecure_channel(ready.address) as channel, ready.client() as client:
        load = Load(BenchmarkServiceStub(channel), ready.listening()["metrics_address"])
        for name in ACTIONS:  # one-time imports and files are loaded from here on
            load.do(name)
        eventually(lambda: not ready.workers())
        before = find_children(ready)
        minutes = request.config.getoption("--soak-minutes")
        samples = sampled_under_load(ready, load, 60 * minutes)
        counts = (f"{name}: {code} {count}" for (name, code), count in sorted(load.answers.items()))
        print(HEADINGS, *samples, *counts, sep="\n")
        eventually(lambda: client.get_server_info().running == client.get_server_info().queued == 0)
        stuck_or_failed = RunFilter(states=(RunState.QUEUED, RunState.RUNNING, RunState.FAILED))
        assert [*client.list_runs(stuck_or_failed)] == []
    third = SAMPLES // 3
    parts = (samples[third : 2 * third], samples[-third:])
    middle, last = (statistics.median(sample.rss for sample in part) for part in parts)
    assert last <= GROWTH * middle or minutes < MINUTES_TO_SETTLE
    assert not {code for _, code in load.answers} & NEVER
    eventually(lambda: find_children(ready) <= before)
    assert len(ready.standby_workers()) <= SLOTS
    assert ready.faults() == []
