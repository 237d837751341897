"""Both clients against a fake server that follows the contract."""

import asyncio
import inspect
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import grpc
import pytest

from loopbench import spec
from loopbench.v1 import run_pb2
from loopbench_client import AsyncClient, Client, errors
from loopbench_client.retry import Retry, WatchRetry
from loopbench_client.run_list import AsyncRunList, RunList
from tests.support.factories import make_epoch
from tests.support.fake_service import FakeService, serving

SPEC = spec.RunSpec(method=spec.Method.FIT, optimizer=spec.Adam(beta_1=0.8), dataset=spec.Dataset.DIGITS, epochs=2)


class Both:
    """Calls the plain or the asyncio client in the same way, so that one test covers both."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            answer = getattr(self._client, name)(*args, **kwargs)
            if isinstance(answer, AsyncIterator):
                return [item async for item in answer]
            if isinstance(answer, AsyncRunList):
                return [item async for item in answer]
            if inspect.isawaitable(answer):
                return await answer
            return list(answer) if inspect.isgenerator(answer) or isinstance(answer, RunList) else answer

        return call


@pytest.fixture(params=["plain", "asyncio"])
async def either(request: pytest.FixtureRequest, address: str) -> Any:
    if request.param == "plain":
        with Client(address) as client:
            yield Both(client)
    else:
        async with AsyncClient(address) as async_client:
            yield Both(async_client)


def public(kind: type) -> dict[str, list[str]]:
    """Every public method with the names of its parameters."""
    functions = inspect.getmembers(kind, inspect.isfunction)
    return {name: list(inspect.signature(f).parameters) for name, f in functions if not name.startswith("_")}


def test_both_clients_have_the_same_methods_and_parameters() -> None:
    assert public(Client) == public(AsyncClient)


@pytest.mark.parametrize(
    ("call", "value", "message"),
    [
        ("train", {"epochs": 1}, "train: expected RunSpec, got dict; make one by RunSpec(**values)"),
        ("train", None, "train: expected RunSpec, got NoneType"),
        ("evaluate", {}, "evaluate: expected RunSpec, Run or str, got dict; make one by RunSpec(**values)"),
        ("compare", [{}], "compare: expected RunGroup, got dict; make one by RunGroup(**values)"),
        ("get_run", 3, "get_run: expected Run or str, got int"),
        ("cancel_run", 3, "cancel_run: expected Run or str, got int"),
        ("delete_run", 3, "delete_run: expected Run or str, got int"),
        ("find_run_id", 3, "find_run_id: expected str, got int"),
        ("weights", 3, "weights: expected Run or str, got int"),
    ],
)
async def test_a_value_of_another_type_is_named(
    either: Any, service: Any, call: str, value: object, message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        await getattr(either, call)(value)
    assert not service.requests


ID = "5f0b1d9e-3f0c-4c3e-9a61-0d6f1f0a7b11"
# Method → the RPC that gets the id.
TAKES_A_RUN = {
    "watch_run": "WatchRun",
    "get_run": "GetRun",
    "packed_weights": "GetWeights",
    "cancel_run": "CancelRun",
    "delete_run": "DeleteRun",
    "evaluate": "Evaluate",
}


@pytest.mark.parametrize("method", TAKES_A_RUN)
@pytest.mark.parametrize(("kind", "lists"), [("run", 0), ("id", 0), ("beginning", 1)])
async def test_a_run_is_given_by_itself_its_id_or_its_beginning(  # noqa: PLR0917 - most are fixtures
    either: Any, service: Any, make_served_run: Any, method: str, kind: str, lists: int
) -> None:
    service.runs = [make_served_run(id=ID)]
    await getattr(either, method)({"run": service.runs[0], "id": ID, "beginning": ID[:6]}[kind])
    assert [request.run_id for request in service.requests[TAKES_A_RUN[method]]] == [ID]
    assert len(service.requests["ListRuns"]) == lists


async def test_a_diagnosis_takes_runs(either: Any, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id=ID)]
    await either.diagnose(service.runs[0], ID[:6])
    (request,) = service.requests["Diagnose"]
    assert (request.first.run_id, request.second.run_id) == (ID, ID)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "a\nb"}, ["name: must be one line"]),
        ({"name": "\ud800"}, ["name: has characters that UTF-8 cannot encode"]),
        ({"name": "a\nb", "labels": {"a b": "b"}}, ["name: must be one line", "labels: a key must have", "'a b'"]),
        ({"labels": {"a": "\ud800"}}, ["labels: the value of 'a' has characters"]),
        ({"request_id": "\ud800"}, ["'\\ud800': has characters that UTF-8 cannot encode"]),
    ],
)
async def test_the_message_names_every_bad_field(
    either: Any, service: Any, given: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(errors.InvalidSpecError) as caught:
        await either.train(SPEC, **given)
    assert [word for word in words if word not in str(caught.value)] == []
    assert not service.requests


@pytest.mark.parametrize(("call", "values"), [("evaluate", {"method": "bogus"}), ("get_run", {})])
async def test_a_bad_value_of_another_call_is_named(
    either: Any, service: Any, call: str, values: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidSpecError, match="method: " if values else "UTF-8"):
        await getattr(either, call)("x" if values else "\ud800", **values)
    assert not service.requests


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timeout": "3"}, "timeout: expected float, int or None, got str"),
        ({"labels": ["a"]}, "train: labels: expected Mapping, got list"),
        ({"request_id": 5}, "train: request_id: expected str or None, got int"),
    ],
)
async def test_an_argument_of_another_type_is_named(
    either: Any, service: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        await either.train(SPEC, **given)
    assert not service.requests


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("address", [None, 5])
async def test_an_address_of_another_type_is_named(kind: type, address: Any) -> None:
    with pytest.raises(TypeError, match=f"{kind.__name__}: expected str, got {type(address).__name__}"):
        kind(address)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timeout": "3"}, "timeout: expected float, int or None, got str"),
        ({"token": 5}, "token: expected str or None, got int"),
        ({"tls": True}, "tls: expected Tls or None, got bool"),
    ],
)
async def test_an_option_of_another_type_is_named(kind: type, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        kind("127.0.0.1:1", **given)


async def test_train_sends_the_spec_and_returns_the_run(either: Any, service: Any) -> None:
    run = await either.train(SPEC)
    (request,) = service.requests["Train"]
    assert run.spec == SPEC
    assert run.result.train.accuracy == 0.9686
    assert UUID(request.request_id).version == 4
    assert not request.detach


async def test_train_keeps_the_callers_request_id(either: Any, service: Any) -> None:
    await either.train(SPEC, request_id="mine", detach=True)
    (request,) = service.requests["Train"]
    assert (request.request_id, request.detach) == ("mine", True)


async def test_two_trains_have_two_request_ids(either: Any, service: Any) -> None:
    await either.train(SPEC)
    await either.train(SPEC)
    first, second = service.requests["Train"]
    assert first.request_id != second.request_id


@pytest.mark.usefixtures("short_pauses")
async def test_unavailable_is_retried_with_the_same_request_id(either: Any, service: Any, status: Any) -> None:
    service.failures["Train"].extend([status(grpc.StatusCode.UNAVAILABLE)] * 2)
    run = await either.train(SPEC)
    assert run.state is spec.RunState.SUCCEEDED
    assert len(service.requests["Train"]) == 3
    assert len({request.request_id for request in service.requests["Train"]}) == 1


async def test_a_deletion_is_not_retried(either: Any, service: Any, status: Any) -> None:
    service.failures["DeleteRun"].append(status(grpc.StatusCode.UNAVAILABLE))
    with pytest.raises(errors.ServerUnavailableError):
        await either.delete_run("x")
    assert len(service.requests["DeleteRun"]) == 1


@pytest.mark.usefixtures("short_pauses")
async def test_every_call_except_deletion_is_retried(either: Any, service: Any, status: Any) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "Evaluate": lambda: either.evaluate("x"),
        "GetRun": lambda: either.get_run("x"),
        "CancelRun": lambda: either.cancel_run("x"),
        "Compare": lambda: either.compare([]),
        "GetServerInfo": either.get_server_info,
    }
    for method, call in calls.items():
        service.failures[method].append(status(grpc.StatusCode.UNAVAILABLE))
        await call()
        assert len(service.requests[method]) == 2


@pytest.mark.usefixtures("short_pauses")
async def test_a_watch_is_retried_until_its_first_event(either: Any, service: Any, status: Any) -> None:
    service.failures["WatchRun"].append(status(grpc.StatusCode.UNAVAILABLE))
    assert await either.watch_run("x") == service.events
    assert len(service.requests["WatchRun"]) == 2


def list_epochs(events: list[spec.RunEvent]) -> list[int]:
    return [record.epoch for event in events for record in event.epochs]


def with_epochs(service: FakeService) -> None:
    """As a server does: the first event has all epochs so far."""
    first, second, third = (make_epoch(number) for number in (1, 2, 3))
    running = spec.RunEvent(state=spec.RunState.RUNNING)
    service.events = [
        running.model_copy(update={"epochs": (first, second)}),
        running.model_copy(update={"epochs": (third,)}),
        spec.RunEvent(state=spec.RunState.SUCCEEDED, run=service.runs[0]),
    ]


@pytest.mark.usefixtures("short_pauses")
async def test_a_watch_that_breaks_is_resumed_without_epochs_that_were_seen(
    either: Any, service: Any, status: Any
) -> None:
    with_epochs(service)
    # More often than a call is tried again: each time the server had answered.
    service.broken_watches.extend((count, status(grpc.StatusCode.UNAVAILABLE)) for count in (1, 1, 2, 2, 2, 2, 2, 2))
    events = await either.watch_run("x")
    assert list_epochs(events) == [1, 2, 3]
    assert events[-1].state is spec.RunState.SUCCEEDED
    assert len(service.requests["WatchRun"]) == 9


@pytest.mark.usefixtures("short_pauses")
async def test_a_watch_that_the_server_itself_ends_is_not_resumed(
    either: Any, service: Any, status: Any, info: Any
) -> None:
    with_epochs(service)
    service.broken_watches.append((1, status(grpc.StatusCode.UNAVAILABLE, "restarted", info("SERVER_LOST"))))
    with pytest.raises(errors.ServerUnavailableError, match="restarted"):
        await either.watch_run("x")
    assert len(service.requests["WatchRun"]) == 1


@pytest.mark.usefixtures("short_pauses")
async def test_an_absent_server_is_an_error_after_the_retries(either: Any, service: Any, status: Any) -> None:
    service.failures["GetRun"].extend([status(grpc.StatusCode.UNAVAILABLE, "away")] * 10)
    with pytest.raises(errors.ServerUnavailableError, match="away"):
        await either.get_run("x")
    assert len(service.requests["GetRun"]) == 5


async def test_progress_comes_in_order_before_the_result(either: Any, service: Any) -> None:
    events: list[spec.RunEvent] = []
    run = await either.train(SPEC, on_progress=events.append)
    assert events == service.events
    assert run.spec == SPEC


async def test_a_train_that_fails_at_once_raises_its_own_error(
    either: Any, service: Any, status: Any, info: Any
) -> None:
    service.failures["Train"].append(status(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", info("QUEUE_FULL")))
    with pytest.raises(errors.QueueFullError, match="full"):
        await either.train(SPEC, on_progress=lambda _: None)
    assert not service.requests["WatchRun"]


async def test_a_run_that_fails_under_way_raises_after_its_progress(
    either: Any, service: Any, status: Any, info: Any
) -> None:
    service.end = status(grpc.StatusCode.ABORTED, "killed", info("RUN_CANCELLED", run_id="r9"))
    # The run fails after its last event: the client may miss the run's id if both arrive together.
    service.hold = True
    events: list[spec.RunEvent] = []

    def follow(event: spec.RunEvent) -> None:
        events.append(event)
        if len(events) == len(service.events):
            service.released.set()

    with pytest.raises(errors.RunCancelledError) as caught:
        await either.train(SPEC, on_progress=follow)
    assert events == service.events
    assert caught.value.run_id == "r9"


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, errors.NotFoundError])
async def test_an_exception_in_on_progress_cancels_the_run(error: Any, either: Any, service: Any) -> None:
    service.hold = True

    def fail(_: spec.RunEvent) -> None:
        raise error("enough")

    with pytest.raises(error, match="enough"):
        await either.train(SPEC, on_progress=fail)
    assert service.abandoned.wait(10)


@pytest.mark.parametrize("on_progress", [None, lambda _: None])
async def test_a_cancelled_task_cancels_the_run(on_progress: Any, async_client: Any, service: Any) -> None:
    service.hold = True
    task = asyncio.create_task(async_client.train(SPEC, on_progress=on_progress))
    assert await asyncio.to_thread(service.held.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert service.abandoned.wait(10)


async def test_the_deadline_cancels_the_run(either: Any, service: Any) -> None:
    service.hold = True
    with pytest.raises(errors.DeadlineError):
        await either.train(SPEC, timeout=0.2)
    assert service.abandoned.wait(10)


async def test_a_detached_run_has_no_progress(either: Any, service: Any) -> None:
    with pytest.raises(ValueError, match="watch"):
        await either.train(SPEC, detach=True, on_progress=lambda _: None)
    assert not service.requests["Train"]


async def test_runs_come_from_all_pages(either: Any, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id=str(number)) for number in range(5)]
    runs = await either.list_runs(spec.RunFilter(seeds=(7,)), page_size=2)
    assert [run.id for run in runs] == ["0", "1", "2", "3", "4"]
    assert [request.page_token for request in service.requests["ListRuns"]] == ["", "2", "4"]
    assert {tuple(request.filter.seeds) for request in service.requests["ListRuns"]} == {(7,)}


async def test_get_cancel_and_delete_name_the_run(either: Any, service: Any) -> None:
    assert await either.get_run("a") == service.runs[0]
    assert (await either.cancel_run("b")).state is spec.RunState.CANCELLED
    await either.delete_run("c")
    asked = [service.requests[method][0].run_id for method in ("GetRun", "CancelRun", "DeleteRun")]
    assert asked == ["a", "b", "c"]


async def test_watch_yields_every_event(either: Any, service: Any) -> None:
    assert await either.watch_run("a") == service.events


async def test_evaluate_takes_a_run_or_a_spec(either: Any, service: Any) -> None:
    evaluation = await either.evaluate("a", spec.Method.FIT)
    await either.evaluate(SPEC, loss=spec.Loss.SUM_OF_SQUARES, accuracy_metric=spec.AccuracyMetric.ARGMAX)
    by_id, by_spec = service.requests["Evaluate"]
    assert evaluation.validation.correct == 9_661
    assert (by_id.run_id, by_id.method, by_id.loss) == ("a", run_pb2.METHOD_FIT, run_pb2.LOSS_UNSPECIFIED)
    assert by_spec.WhichOneof("source") == "spec"
    assert by_spec.accuracy_metric == run_pb2.ACCURACY_METRIC_ARGMAX


async def test_compare_sends_the_groups(either: Any, service: Any) -> None:
    groups = [spec.RunGroup(label="tape", run_ids=("1", "2")), spec.RunGroup(label="fit", run_ids=("3",))]
    comparison = await either.compare(groups, margin=0.01)
    (request,) = service.requests["Compare"]
    assert [tuple(group.run_ids) for group in request.groups] == [("1", "2"), ("3",)]
    assert request.margin == 0.01
    assert not request.HasField("alpha")
    assert comparison.pairs[0].verdict is spec.Verdict.IDENTICAL


async def test_diagnose_takes_runs_and_specs(either: Any, service: Any) -> None:
    diagnosis = await either.diagnose("a", SPEC, verify=True)
    (request,) = service.requests["Diagnose"]
    assert (request.first.run_id, request.second.WhichOneof("subject"), request.verify) == ("a", "spec", True)
    assert diagnosis.causes[0].reason == "LOSS_REDUCTION"


async def test_wait_ready_asks_until_the_server_takes_runs(either: Any, service: Any) -> None:
    service.unready = 2
    assert (await either.wait_ready(30)).ready
    assert len(service.requests["GetServerInfo"]) == 3


async def test_wait_ready_gives_up(either: Any, service: Any) -> None:
    service.unready = 1_000
    with pytest.raises(errors.ServerUnavailableError, match="takes no runs yet") as caught:
        await either.wait_ready(0.3)
    assert caught.value.reason == "NOT_READY"


def test_no_call_is_retried_after_the_clients_deadline(address: str, service: Any, status: Any) -> None:
    # The pauses between the attempts are longer than this.
    service.failures["GetRun"].extend([status(grpc.StatusCode.UNAVAILABLE, "away")] * 100)
    with Client(address, timeout=0.1) as client, pytest.raises(errors.ServerUnavailableError, match="away"):
        client.get_run("x")
    assert len(service.requests["GetRun"]) == 1


def test_a_proxy_is_not_asked_for_loopback(address: str) -> None:
    code = f"from loopbench_client import Client\nprint(Client({address!r}).get_server_info().ready)"
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": "", "no_grpc_proxy": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_the_client_imports_without_the_server() -> None:
    code = (
        "import sys\n"
        "for name in ('loopbench_server', 'tensorflow', 'keras', 'numpy'): sys.modules[name] = None\n"
        "import loopbench_client, loopbench_client.cli"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names() -> None:
    import loopbench_client  # noqa: PLC0415 - the module itself is what is looked at

    assert loopbench_client.__all__ == [
        "Access",
        "AccessError",
        "AlreadyExistsError",
        "AsyncClient",
        "Client",
        "DeadlineError",
        "EmbeddedServer",
        "EmbeddedServerError",
        "InvalidSpecError",
        "LoopbenchError",
        "NotFoundError",
        "OutputError",
        "PermissionDeniedError",
        "PreconditionError",
        "QueueFullError",
        "RunCancelledError",
        "RunEndedError",
        "RunFailedError",
        "ServerError",
        "ServerUnavailableError",
        "Tls",
        "TlsError",
        "TooMuchError",
        "UnauthenticatedError",
        "UnsupportedError",
        "embedded_server",
    ]
    assert all(hasattr(loopbench_client, name) for name in loopbench_client.__all__)


def test_calls_go_in_turn_to_all_servers_that_a_name_stands_for() -> None:
    services = FakeService(), FakeService()
    with serving(services[0]) as one, serving(services[1]) as two, Client(f"ipv4:{one},{two}") as client:

        def asked() -> list[int]:
            return [len(service.requests["GetServerInfo"]) for service in services]

        # The connections open one after another; from then on consecutive calls go to different servers.
        for _ in range(200):
            client.get_server_info()
            if all(asked()):
                break
            time.sleep(0.05)
        before = asked()
        for _ in range(6):
            client.get_server_info()
        assert [after - earlier for earlier, after in zip(before, asked(), strict=True)] == [3, 3]


def _pauses(retry: Retry | WatchRetry) -> list[float]:
    """All pauses until the client stops retrying."""
    pauses: list[float] = []
    with suppress(errors.ServerUnavailableError):
        while True:
            pauses.append(retry.pause(errors.ServerUnavailableError(errors.ErrorDetails("gone", ""))))
    return pauses


def test_pauses_grow_and_outlast_the_lease_of_a_run() -> None:
    assert _pauses(Retry(None)) == [0.2, 0.4, 0.8, 1.6]
    accepted = Retry(None)
    accepted.accept("r")
    pauses = _pauses(accepted)
    assert pauses[0] == 1
    assert pauses == sorted(pauses)
    # A lease lasts 30 s; another server has to end the run after it.
    assert 60 < sum(pauses) < 120
    # A second event does not reset the pauses.
    accepted.accept("r")
    assert _pauses(accepted) == []


def test_a_watch_waits_for_a_server_as_long_as_a_train() -> None:
    train, watch = Retry(None), WatchRetry(None, "", "r", resume=True)
    train.accept("r")
    watch.drop_seen(spec.RunEvent(state=spec.RunState.RUNNING))
    pauses = _pauses(watch)
    assert pauses[0] == 0.2
    assert pauses == sorted(pauses)
    assert sum(pauses) == pytest.approx(sum(_pauses(train)))
    watch.drop_seen(spec.RunEvent(state=spec.RunState.RUNNING))
    assert _pauses(watch) == pauses
