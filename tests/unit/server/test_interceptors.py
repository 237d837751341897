"""Calls through a real server in this process, with handlers whose errors the test sets."""

# ruff: noqa: ARG002, N802 - methods have the names and the arguments of the service

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from loopbench import wire
from loopbench.spec import InvalidFieldsError, Violation
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench.v1 import run_pb2
from loopbench_server.errors import QueueFullError
from tests.support.in_process import benchmark_service, catch_status, collect_messages

from .conftest import Serve

SERVICE = "loopbench.v1.BenchmarkService"


class Handlers(pb_grpc.BenchmarkServiceServicer):
    """Fails with ``error`` if it is set; a stream fails after its first event."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.entered = asyncio.Event()
        self.hold = False

    async def _go(self) -> None:
        self.entered.set()
        if self.hold:
            await asyncio.Event().wait()
        if self.error:
            raise self.error

    async def GetRun(self, request: Any, context: Any) -> Any:
        await self._go()
        return run_pb2.Run(id=request.run_id)

    async def WatchRun(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield pb.WatchRunResponse(state=run_pb2.RUN_STATE_QUEUED)
        await self._go()
        yield pb.WatchRunResponse(state=run_pb2.RUN_STATE_RUNNING)

    async def DeleteRun(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.DATA_LOSS, "by hand")

    async def Train(self, request: Any, context: Any) -> Any:
        return run_pb2.Run(spec=wire.spec_to_wire(wire.spec_from_wire(request.spec)))


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()  # type: ignore[abstract]  # the other methods are not called


@pytest.fixture
async def channel(handlers: Handlers, serve: Serve) -> grpc.aio.Channel:
    return await serve(benchmark_service(handlers))


@pytest.fixture
def stub(channel: Any) -> Any:
    return pb_grpc.BenchmarkServiceStub(channel)


REQUESTS = {"GetRun": pb.GetRunRequest(), "WatchRun": pb.WatchRunRequest()}

# Kind and method in the metrics, and the call.
CALLS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("unary", "GetRun"): lambda stub: stub.GetRun(REQUESTS["GetRun"]),
    ("server_stream", "WatchRun"): lambda stub: collect_messages(stub.WatchRun(REQUESTS["WatchRun"])),
}


def handled(registry: CollectorRegistry) -> list[tuple[str, str, str]]:
    """Kind, method and code of each counted call; its start and its time are checked too."""
    (family,) = (family for family in registry.collect() if family.name == "grpc_server_handled")
    found = []
    for sample in family.samples:
        if sample.name == "grpc_server_handled_total":
            code = sample.labels.pop("grpc_code")
            assert sample.labels["grpc_service"] == SERVICE
            assert registry.get_sample_value("grpc_server_started_total", sample.labels) == sample.value
            assert registry.get_sample_value("grpc_server_handling_seconds_count", sample.labels) == sample.value
            found += [(sample.labels["grpc_type"], sample.labels["grpc_method"], code)] * int(sample.value)
    return found


def messages(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Number of messages by method and direction."""
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {
        (sample.labels["grpc_method"], direction): sample.value
        for direction in ("received", "sent")
        for sample in samples
        if sample.name == f"grpc_server_msg_{direction}_total"
    }


@pytest.fixture
def first_handled(registry: CollectorRegistry, eventually: Any) -> Callable[[], Awaitable[tuple[str, str, str]]]:
    """The metrics of the only call; they may change after the caller has its status."""

    async def first() -> tuple[str, str, str]:
        def counted() -> bool:
            (family,) = (family for family in registry.collect() if family.name == "grpc_server_handling_seconds")
            return bool(family.samples)

        await eventually(counted)
        (only,) = handled(registry)
        return only

    return first


async def test_answers_pass_unchanged(stub: Any, registry: CollectorRegistry) -> None:
    assert (await stub.GetRun(pb.GetRunRequest(run_id="a"))).id == "a"
    assert len(await collect_messages(stub.WatchRun(pb.WatchRunRequest()))) == 2
    assert handled(registry) == [("unary", "GetRun", "OK"), ("server_stream", "WatchRun", "OK")]
    assert messages(registry) == {("GetRun", "received"): 1, ("GetRun", "sent"): 1} | {
        ("WatchRun", "received"): 1,
        ("WatchRun", "sent"): 2,
    }


@pytest.mark.parametrize("kind", CALLS)
async def test_errors_become_statuses_with_details(
    stub: Any, handlers: Handlers, first_handled: Any, registry: CollectorRegistry, kind: tuple[str, str]
) -> None:
    handlers.error = QueueFullError("no room", run_id="a")
    error, status = await catch_status(CALLS[kind](stub))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.metadata["run_id"]) == ("QUEUE_FULL", "a")
    assert registry.get_sample_value("loopbench_rpc_errors_total", {"reason": "QUEUE_FULL"}) == 1
    assert await first_handled() == (*kind, "ResourceExhausted")


@pytest.mark.parametrize("kind", CALLS)
async def test_bad_fields_are_named(stub: Any, handlers: Handlers, kind: tuple[str, str]) -> None:
    handlers.error = InvalidFieldsError((Violation(field="spec.epochs", description="too many"),))
    error, status = await catch_status(CALLS[kind](stub))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = BadRequest()
    assert status.details[0].Unpack(bad)
    assert [violation.field for violation in bad.field_violations] == ["spec.epochs"]


@pytest.mark.parametrize("kind", CALLS)
async def test_an_internal_error_exposes_nothing_to_the_caller(
    stub: Any, handlers: Handlers, first_handled: Any, kind: tuple[str, str]
) -> None:
    handlers.error = KeyError("secret")
    with capture_logs() as logs:
        error, status = await catch_status(CALLS[kind](stub))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details() + str(status)
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, bool(info.metadata["hint"])) == ("INTERNAL", True)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["internal error"]
    assert await first_handled() == (*kind, "Internal")


async def test_a_status_set_by_the_handler_passes_unchanged(stub: Any, first_handled: Any) -> None:
    error, _ = await catch_status(stub.DeleteRun(pb.DeleteRunRequest()))
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "by hand")
    assert await first_handled() == ("unary", "DeleteRun", "DataLoss")


@pytest.mark.parametrize("kind", CALLS)
async def test_a_disconnected_caller_is_counted(
    stub: Any, handlers: Handlers, first_handled: Any, kind: tuple[str, str]
) -> None:
    handlers.hold = True
    call = getattr(stub, kind[1])(REQUESTS[kind[1]])
    await handlers.entered.wait()
    assert call.cancel()
    assert await first_handled() == (*kind, "Canceled")


async def test_an_unknown_method_is_unimplemented(channel: Any) -> None:
    with capture_logs() as logs:
        error, _ = await catch_status(channel.unary_unary(f"/{SERVICE}/Guess")(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert [(entry["path"], entry["code"]) for entry in logs] == [(f"/{SERVICE}/Guess", "UNIMPLEMENTED")]


# A newer client's spec: 99 for method, loss, dataset, device, execution, accuracy_metric and loss_aggregation.
UNKNOWN_ENUMS = bytes(byte for field in (1, 2, 4, 9, 10, 12, 13) for byte in (field << 3, 99))


async def test_the_worst_spec_is_refused_field_by_field(stub: Any) -> None:
    # Every field is invalid, and the error still fits into gRPC's limit for a status.
    worst = run_pb2.RunSpec.FromString(UNKNOWN_ENUMS)
    for field in ("epochs", "batch_size", "shuffle_buffer", "steps_per_execution"):
        setattr(worst, field, -1)
    adam = worst.optimizer.adam
    figures = {field.name for field in adam.DESCRIPTOR.fields} - {"amsgrad", "use_ema"}
    for field in figures:
        setattr(adam, field, -1)
    error, status = await catch_status(stub.Train(pb.TrainRequest(spec=worst)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = BadRequest()
    assert status.details[0].Unpack(bad)
    assert len(bad.field_violations) == 7 + 4 + len(figures)
