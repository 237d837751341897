"""The health service, on a real server in this process."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench_server.rpc.health import Health

from .conftest import Serve

Answer, Request = health_pb2.HealthCheckResponse, health_pb2.HealthCheckRequest


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def stub(health: Health, serve: Serve) -> health_pb2_grpc.HealthStub:
    channel = await serve(lambda server: health_pb2_grpc.add_HealthServicer_to_server(health, server), interceptors=())
    return health_pb2_grpc.HealthStub(channel)


async def test_a_check_gives_the_present_status(health: Health, stub: health_pb2_grpc.HealthStub) -> None:
    health.set("", Answer.SERVING)
    assert (await stub.Check(Request())).status == Answer.SERVING
    health.set("", Answer.NOT_SERVING)
    assert (await stub.Check(Request())).status == Answer.NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(Request(service="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_receives_every_change(health: Health, stub: health_pb2_grpc.HealthStub) -> None:
    watch = stub.Watch(Request(service="s"))
    assert (await watch.read()).status == Answer.SERVICE_UNKNOWN
    for status in (Answer.NOT_SERVING, Answer.SERVING):
        health.set("other", Answer.SERVING)
        health.set("s", status)
        assert (await watch.read()).status == status
    watch.cancel()
