"""A client behind a proxy that drops silent connections loses no run and no event."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from loopbench.spec import Dataset, Execution, RunEvent, RunSpec, RunState
from loopbench_client import AsyncClient, Client
from tests.chaos.proxies import idle_proxy
from tests.support.servers import ServerProcess, Start, eventually

pytestmark = pytest.mark.slow

SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=3)
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
# Shorter than the client's ping interval, so that a waiting run is silent for longer.
SECONDS = 2.0
DROPS = 2


@pytest.fixture
def server(start: Start) -> ServerProcess:
    started = start("--slots", "1", "--drain-seconds", "0")
    started.wait_ready()
    return started


@contextmanager
def occupied(client: Client) -> Iterator[None]:
    """Occupies the only slot within the block."""
    run = client.train(LONG, detach=True)
    eventually(lambda: client.get_run(run.id).state is RunState.RUNNING)
    try:
        yield
    finally:
        client.cancel_run(run.id)


async def watched(address: str, run_id: str) -> list[RunEvent]:
    async with AsyncClient(address) as client:
        return [event async for event in client.watch_run(run_id)]


@pytest.mark.parametrize("kind", ["plain", "asyncio"])
def test_a_watch_resumes_without_repeated_epochs(server: ServerProcess, kind: str) -> None:
    with (
        server.client() as direct,
        idle_proxy(server.address, SECONDS, most=DROPS) as proxy,
        Client(proxy.address) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        with occupied(direct):
            run = direct.train(SHORT, detach=True)
            if kind == "plain":
                watching = threads.submit(lambda: [*client.watch_run(run.id)])
            else:
                watching = threads.submit(lambda: asyncio.run(watched(proxy.address, run.id)))
            eventually(lambda: proxy.drops == DROPS)
        events = watching.result()
    assert events[-1].state is RunState.SUCCEEDED
    assert [record.epoch for event in events for record in event.epochs] == [1, 2, 3]


def test_a_train_is_retried_and_gives_the_same_weights(server: ServerProcess) -> None:
    with server.client() as direct, idle_proxy(server.address, SECONDS) as proxy, Client(proxy.address) as client:
        expected = direct.train(SHORT).result
        assert expected is not None
        with ThreadPoolExecutor(1) as threads:
            with occupied(direct):
                training = threads.submit(client.train, SHORT)
                eventually(lambda: proxy.drops == 1)
            run = training.result()
        assert run.result is not None
        assert run.result.weights_digest == expected.weights_digest
        # One run, which the caller lost and resumed; no abandoned run remains.
        assert [kept.state for kept in direct.list_runs() if kept.spec == SHORT] == [RunState.SUCCEEDED] * 2


@pytest.mark.parametrize("way", ["close", "silence"])
def test_a_call_after_silence_is_answered_in_time(server: ServerProcess, way: str) -> None:
    """The client detects a silently dropped connection before the call's deadline of 30 seconds."""
    with idle_proxy(server.address, SECONDS, way) as proxy, Client(proxy.address) as client:  # type: ignore[arg-type]
        assert client.get_server_info().ready
        eventually(lambda: proxy.drops == 1)
        assert client.get_server_info().ready
