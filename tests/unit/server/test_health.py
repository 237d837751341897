"""The health service, on a real server in this process."""

from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench_server.health import Health

Answer, Request = health_pb2.HealthCheckResponse, health_pb2.HealthCheckRequest


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def stub(health: Health) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)
    await server.stop(0)


async def test_a_check_gives_the_present_status(health: Health, stub: health_pb2_grpc.HealthStub) -> None:
    health.set("", Answer.SERVING)
    assert (await stub.Check(Request())).status == Answer.SERVING
    health.set("", Answer.NOT_SERVING)
    assert (await stub.Check(Request())).status == Answer.NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(Request(service="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_is_told_of_every_change(health: Health, stub: health_pb2_grpc.HealthStub) -> None:
    watch = stub.Watch(Request(service="s"))
    assert (await watch.read()).status == Answer.SERVICE_UNKNOWN
    for status in (Answer.NOT_SERVING, Answer.SERVING):
        health.set("other", Answer.SERVING)
        health.set("s", status)
        assert (await watch.read()).status == status
    watch.cancel()
