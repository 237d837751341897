"""Traces of calls and runs, from a real server in this process with an in-memory exporter."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from loopbench import spec
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench.v1 import run_pb2
from loopbench_server.rpc.interceptors import make_interceptors
from loopbench_server.rpc.servicer import BenchmarkService
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.scheduler import Limits, Scheduler
from loopbench_server.runs.slots import Slots
from loopbench_server.store.store import Store
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics
from loopbench_server.telemetry.run_spans import RunSpans
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import EpochEnded, Failed, PhaseBegan, Started, Trained
from tests.support.in_process import benchmark_service

from .conftest import Serve

SERVICE = "loopbench.v1.BenchmarkService"
# A caller's span in the W3C format.
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
REQUEST_ID = "ffffffff-0000-4000-8000-000000000001"
TRAIN = pb.TrainRequest(
    request_id=REQUEST_ID,
    detach=True,
    spec=run_pb2.RunSpec(method=run_pb2.METHOD_FIT, dataset=run_pb2.DATASET_DIGITS),
)


class Spans:
    """Exported spans; a call's span may end after its caller has the response."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")

    def all(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    async def one(self, name: str) -> Any:
        while not self.all(name):  # noqa: ASYNC110  nothing announces it
            await asyncio.sleep(0.001)
        (span,) = self.all(name)
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
async def scheduler(store: Store, pool: Any, config: WorkerConfig, spans: Spans) -> AsyncIterator[Scheduler]:
    executor = RunExecutor(store, pool, Slots(1), config, RunSpans(spans.tracer))
    made = Scheduler(store, executor, Limits(1, 10, 100))
    yield made
    await made.drain(0)


@pytest.fixture
async def stub(scheduler: Scheduler, store: Store, spans: Spans, serve: Serve) -> Any:
    unused: Any = None
    service = BenchmarkService(scheduler, unused, unused, store, unused, metrics=unused)
    interceptors = make_interceptors(RpcMetrics(CollectorRegistry()), spans.tracer)
    return pb_grpc.BenchmarkServiceStub(await serve(benchmark_service(service), interceptors=interceptors))


def seconds(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


class TestCalls:
    async def test_a_call_has_its_span(self, stub: Any, spans: Spans) -> None:
        await stub.ListRuns(pb.ListRunsRequest())
        span = await spans.one(f"{SERVICE}/ListRuns")
        assert (span.kind, span.parent) == (SpanKind.SERVER, None)
        assert span.attributes == {
            "rpc.system.name": "grpc",
            "rpc.method": f"{SERVICE}/ListRuns",
            "rpc.response.status_code": "OK",
        }
        assert span.status.status_code is StatusCode.UNSET

    async def test_it_is_a_child_of_its_callers_span(self, stub: Any, spans: Spans) -> None:
        await stub.ListRuns(pb.ListRunsRequest(), metadata=(("traceparent", f"00-{TRACE}-{PARENT}-01"),))
        span = await spans.one(f"{SERVICE}/ListRuns")
        assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)

    @pytest.mark.parametrize("traceparent", ["", "00-0-0-01", "~ ~"])
    async def test_an_invalid_traceparent_is_ignored(self, stub: Any, spans: Spans, traceparent: str) -> None:
        metadata = (("traceparent", traceparent), ("traceparent-bin", b"\xff"))
        await stub.ListRuns(pb.ListRunsRequest(), metadata=metadata)
        assert (await spans.one(f"{SERVICE}/ListRuns")).parent is None

    async def test_a_callers_mistake_is_no_span_error(self, stub: Any, spans: Spans) -> None:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetRun(pb.GetRunRequest(run_id=REQUEST_ID))
        span = await spans.one(f"{SERVICE}/GetRun")
        assert span.attributes["rpc.response.status_code"] == "NOT_FOUND"
        assert span.attributes["loopbench.reason"] == "RUN_NOT_FOUND"
        assert "error.type" not in span.attributes
        assert span.status.status_code is StatusCode.UNSET

    async def test_an_unavailable_status_is_a_span_error(self, stub: Any, spans: Spans, scheduler: Scheduler) -> None:
        await scheduler.drain(0)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Train(TRAIN)
        span = await spans.one(f"{SERVICE}/Train")
        assert span.attributes["rpc.response.status_code"] == span.attributes["error.type"] == "UNAVAILABLE"
        assert span.attributes["loopbench.reason"] == "SERVER_DRAINING"
        assert (span.status.status_code, span.status.description) == (
            StatusCode.ERROR,
            "the server is shutting down",
        )

    async def test_an_internal_error_is_recorded(
        self, stub: Any, spans: Spans, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise KeyError("a bug")

        monkeypatch.setattr(store, "page", fail)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ListRuns(pb.ListRunsRequest())
        span = await spans.one(f"{SERVICE}/ListRuns")
        assert span.status.status_code is StatusCode.ERROR
        (event,) = span.events
        assert (event.name, event.attributes["exception.type"]) == ("exception", "KeyError")

    async def test_a_stream_that_its_caller_closes_ends_its_span(self, stub: Any, spans: Spans, pool: Any) -> None:
        run = await stub.Train(TRAIN)
        await pool.begun()
        stream = stub.WatchRun(pb.WatchRunRequest(run_id=run.id))
        await stream.read()
        stream.cancel()
        span = await spans.one(f"{SERVICE}/WatchRun")
        assert span.attributes["rpc.response.status_code"] == "CANCELLED"


class TestRuns:
    async def test_a_run_is_below_the_call_that_began_it_with_a_span_a_phase(
        self, *, stub: Any, spans: Spans, pool: Any, store: Store, make_result: Any, make_epoch: Any
    ) -> None:
        run = await stub.Train(TRAIN)
        worker = await pool.begun()
        began = store.get(run.id).start_time
        assert began is not None
        times = {"load": 1.0, "compile": 2.5, "train": 4.0, "evaluate": 8.0}
        worker.send(Started(monotonic=time.monotonic() + 0.25))
        # The process continues the server's trace.
        worker.send(PhaseBegan(phase="start", time=began.timestamp() + 0.5))
        for phase, after in times.items():
            worker.send(PhaseBegan(phase=phase, time=began.timestamp() + after))
            if phase == "train":
                worker.send(EpochEnded(record=make_epoch(1, train_seconds=2.0)))
        worker.send(Trained(result=make_result()), b"weights")
        whole, call = await spans.one("run"), await spans.one(f"{SERVICE}/Train")
        ended = store.get(run.id)
        assert whole.parent == call.context
        assert (seconds(whole.start_time), seconds(whole.end_time)) == (ended.create_time, ended.end_time)
        assert whole.status.status_code is StatusCode.UNSET
        assert dict(whole.attributes) == {
            "loopbench.run_id": run.id,
            "loopbench.request_id": REQUEST_ID,
            "loopbench.method": "FIT",
            "loopbench.loss": "SUM_OF_SQUARES",
            "loopbench.optimizer": "sgd",
            "loopbench.dataset": "DIGITS",
            "loopbench.network": "mlp",
            "loopbench.state": "SUCCEEDED",
            "loopbench.load_seconds": 0.5,
            "loopbench.train_seconds": 4.0,
            **{f"loopbench.{phase}_seconds": pytest.approx(0, abs=60) for phase in ("queue", "start")},
            **{f"loopbench.{phase}_seconds": 0.0 for phase in ("compile", "evaluate")},
        }
        phases = [await spans.one(phase) for phase in ("queue", "start", *times, "store")]
        assert all(phase.parent == whole.context for phase in phases)
        # Each phase ends where the next begins; the last ends with the run.
        assert [phase.end_time for phase in phases[:-1]] == [phase.start_time for phase in phases[1:]]
        assert (phases[0].start_time, phases[-1].end_time) == (whole.start_time, whole.end_time)
        assert [seconds(phase.start_time).timestamp() - began.timestamp() for phase in phases[1:-1]] == pytest.approx(
            [0, *times.values()], abs=1e-5
        )
        (epoch,) = phases[4].events
        assert (epoch.name, dict(epoch.attributes)) == ("epoch ended", {"epoch": 1, "train_seconds": 2.0})

    async def test_a_failed_run_shows_why_and_in_which_phase(self, stub: Any, spans: Spans, pool: Any) -> None:
        await stub.Train(TRAIN)
        worker = await pool.begun()
        worker.send(PhaseBegan(phase="load", time=datetime.now(UTC).timestamp()))
        worker.send(Failed(reason="DATASET_CORRUPT", message="other contents"))
        whole = await spans.one("run")
        assert whole.attributes["loopbench.state"] == "FAILED"
        assert whole.attributes["loopbench.reason"] == whole.attributes["error.type"] == "DATASET_CORRUPT"
        for span in (whole, await spans.one("load")):
            assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "other contents")
        assert spans.all("train") == []

    async def test_a_queued_run_that_is_cancelled_is_no_error(
        self, stub: Any, spans: Spans, pool: Any, scheduler: Scheduler
    ) -> None:
        await stub.Train(TRAIN)
        await pool.begun()
        other = await scheduler.submit(spec.RunSpec(), "other", "me")
        await scheduler.cancel(other.id)
        whole = await spans.one("run")
        assert whole.parent is None
        assert (whole.attributes["loopbench.state"], whole.attributes["loopbench.reason"]) == (
            "CANCELLED",
            "RUN_CANCELLED",
        )
        assert whole.status.status_code is StatusCode.UNSET
        assert spans.all("start") == []
