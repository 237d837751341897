"""Runs, results and epochs as they come, a store in a file, and worker processes that do as a test tells them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopbench import spec
from loopbench_server.errors import NotReadyError
from loopbench_server.runs.attempt import Surroundings
from loopbench_server.runs.bounds import Bounds
from loopbench_server.runs.database import open_database
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.messages import Message, Task
from loopbench_server.runs.observers import Observer
from loopbench_server.runs.processes import CLOSING, WorkerDiedError
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.store import Store

LEASE = timedelta(seconds=30)
BOUNDS = Bounds(seconds=3_600, megabytes=4_000)
START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECONDS_A_TEST_MAY_HANG = 120


@pytest.fixture(autouse=True)
def _no_test_hangs() -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise TimeoutError("the test hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS_A_TEST_MAY_HANG)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _epoch(number: int = 1, **fields: Any) -> spec.EpochRecord:
    reported = spec.Reported(loss=0.5, accuracy=0.875)
    known = {
        "train": reported,
        "validation": reported,
        "samples": 1_438,
        "train_seconds": 2.0,
        "examples_per_second": 719.0,
    }
    return spec.EpochRecord(epoch=number, **known | fields)


def _result(**fields: Any) -> spec.Result:
    reported = spec.Reported(loss=0.25, accuracy=0.75)
    known: dict[str, Any] = {
        "dataset": spec.Dataset.DIGITS,
        "train": spec.Audit(loss=0.5, accuracy=0.5, correct=719, samples=1438),
        "validation": spec.Audit(loss=0.125, accuracy=0.0, correct=0, samples=359),
        "reported_train": reported,
        "reported_validation": reported,
        "history": (_epoch(1), _epoch(2)),
        "weights_digest": "a" * 64,
        "batch_order_digest": "b" * 64,
        "updates": 90,
        "phases": spec.Phases(load_seconds=0.5, train_seconds=4.0),
        "environment": spec.Environment(
            versions={"tensorflow": "2.21.0", "keras": "3.15.1"},
            device=spec.Device.CPU,
            device_name="/physical_device:CPU:0",
            cpu_model="one",
            cpu_count=2,
            threads=1,
            platform="Linux-6.1-x86_64",
            source_revision="",
        ),
    }
    return spec.Result(**known | fields)


def _run(number: int = 1, **fields: Any) -> spec.Run:
    known: dict[str, Any] = {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "request_id": f"ffffffff-0000-4000-8000-{number:012}",
        "spec": spec.RunSpec(),
        "state": spec.RunState.QUEUED,
        "create_time": START,
    }
    return spec.Run(**known | fields)


@pytest.fixture
def make_epoch() -> Callable[..., spec.EpochRecord]:
    return _epoch


@pytest.fixture
def make_result() -> Callable[..., spec.Result]:
    return _result


@pytest.fixture
def make_run() -> Callable[..., spec.Run]:
    """Numbered runs: the number gives the ids."""
    return _run


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    made = Store(open_database(store_url), owner="here", lease=LEASE)
    yield made
    made.close()


@pytest.fixture
def lapsing(store_url: str) -> Iterator[Store]:
    """The same file seen by another server, whose leases have lapsed as soon as it says anything."""
    made = Store(open_database(store_url), owner="there", lease=timedelta(seconds=-1))
    yield made
    made.close()


@pytest.fixture
def there(store_url: str) -> Iterator[Store]:
    """That other server, as long as it renews its leases."""
    made = Store(open_database(store_url), owner="there", lease=LEASE)
    yield made
    made.close()


class FakeWorker:
    """Says what the test sends, and notes when its process would be gone."""

    # Of a process that there is, so that its memory can be looked at.
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
            closed = sent[0].kind in CLOSING
            yield sent
        if not closed:
            raise WorkerDiedError("the process was killed")


class FakeProcesses:
    """Stands for :class:`loopbench_server.runs.processes.Processes`."""

    def __init__(self) -> None:
        self.refused = False
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.workers: list[FakeWorker] = []
        self._begun: asyncio.Queue[FakeWorker] = asyncio.Queue()

    async def begun(self) -> FakeWorker:
        """The next worker, in the order in which they were started."""
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
    """Notes what a scheduler tells its observer."""

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
def processes() -> Any:
    return FakeProcesses()


@pytest.fixture
def observer() -> Any:
    return Recorder()


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    return Surroundings(threads=3, data_dir=tmp_path / "data", tensorboard_dir=tmp_path / "logs", bounds=BOUNDS)


@pytest.fixture
async def make_scheduler(
    store: Store, processes: Any, observer: Any, surroundings: Surroundings
) -> AsyncIterator[Callable[..., Scheduler]]:
    made = []

    def make(slots: int = 1, queue_size: int = 10, caller_runs: int = 100) -> Scheduler:
        executor = RunExecutor(store, processes, slots, surroundings, observer)
        made.append(Scheduler(store, executor, Limits(slots, queue_size, caller_runs)))
        return made[-1]

    yield make
    for scheduler in made:
        await scheduler.drain(0)


@pytest.fixture
def executor(store: Store, processes: Any, surroundings: Surroundings, observer: Any) -> RunExecutor:
    """One with one slot, and nothing to do."""
    return RunExecutor(store, processes, 1, surroundings, observer)


@pytest.fixture
def scheduler(make_scheduler: Callable[..., Scheduler]) -> Scheduler:
    """One with one slot."""
    return make_scheduler()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits until something is true that nothing announces."""

    async def wait(true: Callable[[], bool]) -> None:
        while not true():  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.001)

    return wait
