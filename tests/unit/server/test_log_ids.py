"""Every log line of a run has the run's ids."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from loopbench import spec
from loopbench.spec import EvaluationRequest, RunSpec, RunState
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench_server import errors
from loopbench_server.operations.evaluate import Evaluator
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.rpc.servicer import BenchmarkService
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance.leases import reap_expired
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import EpochEnded, Failed, Trained
from tests.support.in_process import benchmark_service, collect_messages

from .conftest import Serve

Lines = list[Any]
MakeRun = Callable[..., spec.Run]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Log events with their context."""
    with capture_logs(processors=[merge_contextvars, format_exc_info]) as captured:
        yield captured


def ids(line: Any) -> tuple[Any, Any]:
    return line.get("run_id"), line.get("request_id")


def of(lines: Lines, run: spec.Run) -> list[str]:
    """Events that have both ids of the run."""
    return [line["event"] for line in lines if ids(line) == (run.id, run.request_id)]


async def test_every_log_line_of_a_run_has_its_ids(
    make_scheduler: Callable[..., Scheduler], pool: Any, lines: Lines, make_result: Callable[..., spec.Result]
) -> None:
    scheduler = make_scheduler(slots=2)
    fails = await scheduler.submit(RunSpec(seed=1), "one", "me")
    first = await pool.begun()
    succeeds = await scheduler.submit(RunSpec(seed=2), "two", "me")
    second = await pool.begun()
    first.send(Failed(reason="RUN_FAILED", message="so", traceback="Traceback"))
    with pytest.raises(errors.RunFailedError):
        await scheduler.wait(fails.id)
    second.send(Trained(result=make_result()), b"weights")
    await scheduler.wait(succeeds.id)
    assert of(lines, fails) == ["run queued", "run started", "run failed", "run ended"]
    assert of(lines, succeeds) == ["run queued", "run started", "run ended"]
    assert len(lines) == 7


async def test_store_log_lines_have_the_run_ids_and_no_values(
    *,
    scheduler: Scheduler,
    pool: Any,
    store: Store,
    store_url: str,
    lines: Lines,
    make_epoch: Callable[..., spec.EpochRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The server retries a write until the lease expires.
    monkeypatch.setattr(store, "lease", timedelta(0))
    run = await scheduler.submit(RunSpec(), "r", "me")
    worker = await pool.begun()
    connection = sqlite3.connect(store_url.removeprefix("sqlite:///"))
    connection.execute("DROP TABLE epochs")
    connection.close()
    worker.send(EpochEnded(record=make_epoch(samples=123_456)))
    with pytest.raises(errors.StoreFailedError):
        await scheduler.wait(run.id)
    assert "database error" in of(lines, run)
    assert "no such table" in str(lines)
    assert "123456" not in str(lines)


@pytest.mark.parametrize("killed", [False, True])
async def test_a_failed_evaluation_is_logged_with_the_ids_of_its_run(  # noqa: PLR0917  most are fixtures
    killed: bool,
    store: Store,
    pool: Any,
    config: WorkerConfig,
    lines: Lines,
    make_run: MakeRun,
    make_result: Callable[..., spec.Result],
) -> None:
    run = make_run(state=RunState.SUCCEEDED, result=make_result())
    store.add(run.model_copy(update={"state": RunState.RUNNING}))
    store.update(run, b"weights")
    evaluations = Evaluator(store, TaskRunner(pool, 1, 10, config.limits), config)
    waiting = asyncio.create_task(evaluations.evaluate(EvaluationRequest(run_id=run.id)))
    worker = await pool.begun()
    if killed:
        worker.die()
    else:
        worker.send(Failed(reason="RUN_FAILED", message="so", traceback="all of it"))
    with pytest.raises(errors.LoopbenchServerError) as caught:
        await waiting
    (line,) = lines
    assert (line["event"], ids(line)) == ("task failed", (run.id, run.request_id))
    assert (line["kind"], line["reason"]) == ("evaluate", caught.value.reason)
    assert line.get("traceback") == (None if killed else "all of it")


async def test_runs_that_lost_their_server_are_logged_one_by_one(
    *, store: Store, executor: RunExecutor, expiring: Store, lines: Lines, make_run: MakeRun, eventually: Any
) -> None:
    lost = [expiring.add(make_run(number)) for number in (1, 2)]
    keeping = asyncio.create_task(reap_expired(store, executor))
    await eventually(lambda: len(lines) == 2)
    keeping.cancel()
    assert {ids(line) for line in lines} == {(run.id, run.request_id) for run in lost}


class TestCalls:
    """One log line per RPC, from a real server in this process."""

    @pytest.fixture
    async def stub(self, scheduler: Scheduler, store: Store, serve: Serve) -> Any:
        unused: Any = None
        service = BenchmarkService(scheduler, unused, unused, store, unused, metrics=unused)
        return pb_grpc.BenchmarkServiceStub(await serve(benchmark_service(service)))

    @pytest.fixture
    def find_line(self, lines: Lines, eventually: Any) -> Any:
        """The only line of a method; it may be written after the caller has its response."""

        async def line(method: str) -> Any:
            def written() -> Lines:
                return [line for line in lines if line["event"] == "rpc" and line.get("method") == method]

            await eventually(lambda: bool(written()))
            (only,) = written()
            return only

        return line

    @pytest.fixture
    def run(self, store: Store, make_run: MakeRun) -> spec.Run:
        return store.add(make_run(state=RunState.FAILED))

    @pytest.mark.parametrize("method", ["GetRun", "CancelRun", "DeleteRun", "WatchRun"])
    async def test_that_name_a_run_are_logged_with_both_ids(
        self, method: str, stub: Any, run: spec.Run, find_line: Any
    ) -> None:
        request = getattr(pb, f"{method}Request")(run_id=run.id.upper())
        call = getattr(stub, method)(request)
        if method == "WatchRun":
            await collect_messages(call)
        else:
            await call
        line = await find_line(method)
        assert (ids(line), line["code"], line["log_level"]) == ((run.id, run.request_id), "OK", "debug")

    async def test_that_train_are_logged_with_both_ids(
        self, stub: Any, pool: Any, find_line: Any, make_run: MakeRun
    ) -> None:
        request_id = make_run().request_id
        call = stub.Train(pb.TrainRequest(request_id=request_id))
        (await pool.begun()).send(Failed(reason="DATASET_CORRUPT", message="so"))
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        ((_, run_id),) = [pair for pair in await call.initial_metadata() if pair[0] == "loopbench-run-id"]
        line = await find_line("Train")
        assert (ids(line), line["code"]) == ((run_id, request_id), "FAILED_PRECONDITION")

    async def test_that_find_no_run_are_logged_with_the_requested_id(
        self, stub: Any, make_run: MakeRun, find_line: Any
    ) -> None:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetRun(pb.GetRunRequest(run_id=make_run(7).id))
        line = await find_line("GetRun")
        assert (ids(line), line["code"]) == ((make_run(7).id, None), "NOT_FOUND")

    async def test_without_a_run_are_logged_without_an_id(self, stub: Any, run: spec.Run, find_line: Any) -> None:
        await stub.GetRun(pb.GetRunRequest(run_id=run.id))
        await stub.ListRuns(pb.ListRunsRequest())
        assert ids(await find_line("ListRuns")) == (None, None)

    async def test_metadata_are_not_logged(self, stub: Any, lines: Lines, find_line: Any) -> None:
        await stub.ListRuns(pb.ListRunsRequest(), metadata=(("authorization", "Bearer hidden"),))
        await find_line("ListRuns")
        assert "hidden" not in str(lines)
