"""Fixtures: a store in a file, a scheduler, and worker processes that a test controls."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from loopbench import spec
from loopbench_server.errors import NotReadyError
from loopbench_server.rpc.interceptors import make_interceptors
from loopbench_server.runs import attempt
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance import ended_runs
from loopbench_server.runs.observers import Observer
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.slots import Slots
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics
from loopbench_server.worker_config import WorkerConfig, WorkerLimits
from loopbench_server.workers.protocol import Message, Task
from loopbench_server.workers.worker import FINAL_MESSAGES, WorkerDiedError
from tests.support.in_process import Register, aio_server

LEASE = timedelta(seconds=30)
LIMITS = WorkerLimits(seconds=3_600, megabytes=4_000)


SECONDS_A_TEST_MAY_HANG = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of this folder a time limit."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(SECONDS_A_TEST_MAY_HANG))


class Serve(Protocol):
    """Starts a server in this process and returns a channel to it."""

    async def __call__(self, *register: Register, interceptors: Sequence[Any] | None = None) -> grpc.aio.Channel: ...


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def serve(registry: CollectorRegistry) -> AsyncIterator[Serve]:
    """Servers that stop with the test; by default without tokens and traces."""
    async with AsyncExitStack() as servers:

        async def start(*register: Register, interceptors: Sequence[Any] | None = None) -> grpc.aio.Channel:
            chosen = make_interceptors(RpcMetrics(registry), NoOpTracer()) if interceptors is None else interceptors
            return await servers.enter_async_context(aio_server(*register, interceptors=chosen))

        yield start


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    made = Store(open_database(store_url), owner="here", lease=LEASE)
    yield made
    made.close()


@pytest.fixture
def expiring(store_url: str) -> Iterator[Store]:
    """The same file as another server's store, whose leases expire immediately."""
    made = Store(open_database(store_url), owner="there", lease=timedelta(seconds=-1))
    yield made
    made.close()


@pytest.fixture
def there(store_url: str) -> Iterator[Store]:
    """The other server, which renews its leases."""
    made = Store(open_database(store_url), owner="there", lease=LEASE)
    yield made
    made.close()


SetClock = Callable[[timedelta], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Shifts the wall clock that runs and the search for ended runs use."""
    shift = timedelta()

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Shifted":
            return datetime.now(tz) + shift  # type: ignore[return-value]

    def by(step: timedelta) -> None:
        nonlocal shift
        shift += step

    for module in (attempt, ended_runs):
        monkeypatch.setattr(module, "datetime", Shifted)
    return by


class FakeWorker:
    """A worker whose events the test sends; it records when its process would have ended."""

    # Of an existing process, so that its memory can be read.
    pid = os.getpid()

    def __init__(self, task: Task, weights: bytes) -> None:
        self.task = task
        self.weights = weights
        self.gone = False
        self._sent: asyncio.Queue[tuple[Message, bytes] | None] = asyncio.Queue()

    def send(self, message: Message, attachment: bytes = b"") -> None:
        self._sent.put_nowait((message, attachment))

    def die(self) -> None:
        self._sent.put_nowait(None)

    async def messages(self) -> AsyncIterator[tuple[Message, bytes]]:
        closed = False
        while (sent := None if closed and self._sent.empty() else await self._sent.get()) is not None:
            closed = sent[0].kind in FINAL_MESSAGES
            yield sent
        if not closed:
            raise WorkerDiedError("the process was killed")


class FakeWorkerPool:
    """Stand-in for :class:`loopbench_server.workers.pool.WorkerPool`."""

    def __init__(self) -> None:
        self.refused = False
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.workers: list[FakeWorker] = []
        self._begun: asyncio.Queue[FakeWorker] = asyncio.Queue()

    async def begun(self) -> FakeWorker:
        """The next worker in order of start."""
        return await self._begun.get()

    @asynccontextmanager
    async def run(self, task: Task, weights: bytes = b"") -> AsyncIterator[FakeWorker]:
        if self.refused:
            raise NotReadyError("no process")
        worker = FakeWorker(task, weights)
        self.workers.append(worker)
        self._begun.put_nowait(worker)
        try:
            yield worker
        finally:
            await self.may_end.wait()
            worker.gone = True


class Recorder(Observer):
    """Observer that records the scheduler's calls."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def run_queued(self, run: spec.Run) -> None:  # noqa: ARG002  the protocol's
        self.seen.append(("queued",))

    def run_started(self, run: spec.Run) -> None:  # noqa: ARG002  the protocol's
        self.seen.append(("started",))

    def epoch_ended(self, run: spec.Run, record: spec.EpochRecord) -> None:
        self.seen.append(("epoch", run.state, record.epoch))

    def run_ended(self, run: spec.Run, *, had_slot: bool) -> None:
        self.seen.append(("ended", run.state, had_slot))

    def runs_abandoned(self, count: int) -> None:
        if count:
            self.seen.append(("abandoned", count))


@pytest.fixture
def pool() -> Any:
    return FakeWorkerPool()


@pytest.fixture
def observer() -> Any:
    return Recorder()


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return WorkerConfig(threads=3, data_dir=tmp_path / "data", tensorboard_dir=tmp_path / "logs", limits=LIMITS)


@pytest.fixture
async def make_scheduler(
    store: Store, pool: Any, observer: Any, config: WorkerConfig
) -> AsyncIterator[Callable[..., Scheduler]]:
    made = []

    def make(slots: int = 1, queue_size: int = 10, caller_runs: int = 100) -> Scheduler:
        executor = RunExecutor(store, pool, Slots(slots), config, observer)
        made.append(Scheduler(store, executor, Limits(slots, queue_size, caller_runs)))
        return made[-1]

    yield make
    for scheduler in made:
        await scheduler.drain(0)


@pytest.fixture
def executor(store: Store, pool: Any, config: WorkerConfig, observer: Any) -> RunExecutor:
    """An idle executor with one slot."""
    return RunExecutor(store, pool, Slots(1), config, observer)


@pytest.fixture
def scheduler(make_scheduler: Callable[..., Scheduler]) -> Scheduler:
    """A scheduler with one slot."""
    return make_scheduler()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Polls a condition until it is true."""

    async def wait(true: Callable[[], bool]) -> None:
        while not true():  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.001)

    return wait
