"""However long an error's words are, its caller is told of it: a client takes 8 KiB of metadata with a status."""

# ruff: noqa: ARG002, N802 - methods bear the names and the arguments of the service's

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from loopbench.spec import Violation
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench_server import errors
from loopbench_server.boundary import Boundary
from loopbench_server.metrics.rpcs import RpcMetrics
from loopbench_server.runs.worker import LONGEST_MESSAGE, shortened

# Of one, two, three and four bytes; what gRPC sends as it is, and what it escapes.
CHARACTERS = ("x", "%", "\n", "ä", "漢", "😀", "\udc80")
LENGTH = 20_000
RUN_ID = "00000000-0000-4000-8000-000000000001"


class Failing(pb_grpc.BenchmarkServiceServicer):
    error: Exception

    async def DeleteRun(self, request: pb.DeleteRunRequest, context: Any) -> Empty:
        raise self.error


@pytest.fixture
def failing() -> Failing:
    return Failing()  # type: ignore[abstract]  # the other methods are not called


@pytest.fixture
async def stub(failing: Failing) -> AsyncIterator[Any]:
    server = grpc.aio.server(interceptors=[Boundary(RpcMetrics(CollectorRegistry()), NoOpTracer())])
    pb_grpc.add_BenchmarkServiceServicer_to_server(failing, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.BenchmarkServiceStub(channel)
    await server.stop(None)


async def told(stub: Any) -> tuple[grpc.aio.AioRpcError, ErrorInfo]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.DeleteRun(pb.DeleteRunRequest())
    info = ErrorInfo()
    status = rpc_status.from_call(caught.value)
    assert status is not None, caught.value.details()
    assert [detail for detail in status.details if detail.Unpack(info)]
    return caught.value, info


@pytest.mark.parametrize("character", CHARACTERS, ids=ascii)
@pytest.mark.parametrize("error", errors.subclasses())
async def test_a_long_message_is_cut(
    error: type[errors.LoopbenchServerError], character: str, failing: Failing, stub: Any
) -> None:
    failing.error = error("why: " + LENGTH * character, run_id=RUN_ID)
    raised, info = await told(stub)
    assert raised.code() is grpc.StatusCode[error.status]
    assert (info.reason, info.metadata["run_id"]) == (error.reason, RUN_ID)
    message = raised.details()
    assert message is not None
    assert message.startswith("why: " + 70 * character.encode(errors="replace").decode())
    assert message.endswith("...")


@pytest.mark.parametrize("character", CHARACTERS, ids=ascii)
async def test_a_long_violation_is_cut(character: str, failing: Failing, stub: Any) -> None:
    bad = (Violation(field="spec", description=LENGTH * character), Violation(field="other", description="is bad"))
    failing.error = errors.InvalidRequestError("bad", bad)
    raised, info = await told(stub)
    assert raised.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info.reason == "INVALID_FIELDS"


async def test_a_short_message_comes_whole(failing: Failing, stub: Any) -> None:
    failing.error = errors.RunFailedError("why: ä% 漢\n😀")
    assert (await told(stub))[0].details() == "why: ä% 漢\n😀"


def test_what_a_worker_tells_is_cut() -> None:
    assert shortened("x" * LONGEST_MESSAGE) == "x" * LONGEST_MESSAGE
    assert shortened("x" * LENGTH) == "x" * LONGEST_MESSAGE + "..."
