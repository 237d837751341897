"""Every error of a call as the caller sees it."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

import loopbench_client
from loopbench.spec import RunSpec
from loopbench_client import AsyncClient, Client, errors
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.error_mapping import STATUS_ERRORS, to_error
from tests.support.in_process import threaded_server

SOME_ID = "x"


def all_errors(base: type[errors.LoopbenchError] = errors.LoopbenchError) -> Iterator[type[errors.LoopbenchError]]:
    yield base
    for kind in base.__subclasses__():
        yield from all_errors(kind)


def test_every_status_has_its_error() -> None:
    assert set(STATUS_ERRORS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


def test_the_docstring_draws_every_error() -> None:
    assert errors.__doc__ is not None
    assert {kind.__name__ for kind in all_errors()} == {word for word in errors.__doc__.split() if "Error" in word}


def test_every_error_is_public() -> None:
    assert {kind.__name__ for kind in all_errors()} <= set(loopbench_client.__all__)


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code != grpc.StatusCode.OK], ids=lambda code: code.name
)
async def test_a_status_becomes_its_error_for_both_clients(
    code: grpc.StatusCode, client: Any, async_client: Any, service: Any, status: Callable[..., Any]
) -> None:
    # DeleteRun, because the client does not retry it.
    service.failures["DeleteRun"].extend([status(code, "not so"), status(code, "not so")])
    with pytest.raises(errors.LoopbenchError, match="not so") as caught:
        client.delete_run(SOME_ID)
    with pytest.raises(errors.LoopbenchError, match="not so") as caught_async:
        await async_client.delete_run(SOME_ID)
    assert type(caught.value) is type(caught_async.value) is STATUS_ERRORS[code]
    assert isinstance(caught.value.__cause__, grpc.RpcError)


def test_a_bad_spec_names_every_field(client: Any, service: Any, status: Callable[..., Any]) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation
    bad = error_details_pb2.BadRequest(
        field_violations=[
            violation(field="spec.epochs", description="too many"),
            violation(field="spec.seed", description="odd"),
        ]
    )
    service.failures["GetRun"].append(status(grpc.StatusCode.INVALID_ARGUMENT, "no", bad))
    with pytest.raises(errors.InvalidSpecError) as caught:
        client.get_run(SOME_ID)
    assert [(v.field, v.description) for v in caught.value.violations] == [
        ("spec.epochs", "too many"),
        ("spec.seed", "odd"),
    ]


def test_a_full_queue_says_when_to_come_back(client: Any, service: Any, status: Callable[..., Any], info: Any) -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))
    service.failures["GetRun"].append(status(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", info("QUEUE_FULL"), retry))
    with pytest.raises(errors.QueueFullError) as caught:
        client.get_run(SOME_ID)
    assert caught.value.retry_delay == 2.5


def test_what_grpc_itself_refuses_is_no_full_queue(client: Any) -> None:
    with pytest.raises(errors.TooMuchError, match="larger than max") as caught:
        client.get_run("x" * (5 << 20))  # gRPC's own bound is 4 MiB
    assert "smaller request" in caught.value.hint


def test_the_client_raises_reason_and_hint(client: Any, service: Any, status: Callable[..., Any], info: Any) -> None:
    details = info("DEVICE_NOT_AVAILABLE", hint="use --device cpu")
    service.failures["GetRun"].append(status(grpc.StatusCode.FAILED_PRECONDITION, "no GPU", details))
    with pytest.raises(errors.PreconditionError) as caught:
        client.get_run(SOME_ID)
    assert (caught.value.reason, caught.value.hint) == ("DEVICE_NOT_AVAILABLE", "use --device cpu")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("RUN_CANCELLED", errors.RunCancelledError), ("WORKER_DIED", errors.RunFailedError)],
)
def test_an_aborted_run_is_named(  # noqa: PLR0917 - most are fixtures
    reason: str, kind: type[errors.RunEndedError], client: Any, service: Any, status: Callable[..., Any], info: Any
) -> None:
    service.failures["GetRun"].append(status(grpc.StatusCode.ABORTED, "over", info(reason, run_id="r1")))
    with pytest.raises(kind) as caught:
        client.get_run(SOME_ID)
    assert caught.value.run_id == "r1"


def test_details_of_an_unknown_type_are_left_out(client: Any, service: Any, status: Callable[..., Any]) -> None:
    help_links = error_details_pb2.Help(links=[error_details_pb2.Help.Link(url="u")])
    service.failures["GetRun"].append(status(grpc.StatusCode.NOT_FOUND, "none", help_links))
    with pytest.raises(errors.NotFoundError, match="none") as caught:
        client.get_run(SOME_ID)
    assert caught.value.reason == ""


def test_an_answer_outside_the_contract_is_a_server_error(
    client: Any, service: Any, make_served_run: Callable[..., Any]
) -> None:
    service.runs = [make_served_run().model_copy(update={"state": None})]
    with pytest.raises(errors.ServerError, match="outside the contract") as caught:
        client.get_run(SOME_ID)
    assert caught.value.reason == "INVALID_ANSWER"


class Empty(grpc.GenericRpcHandler):
    """A Train that succeeds without a message."""

    def service(self, _: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_stream_rpc_method_handler(lambda *_: iter(()))


async def test_an_answer_without_a_message_is_a_server_error() -> None:
    with threaded_server(handlers=[Empty()]) as address:
        with Client(address) as client, pytest.raises(errors.ServerError, match="0 messages"):
            client.train(RunSpec())
        async with AsyncClient(address) as client:
            with pytest.raises(errors.ServerError, match="0 messages"):
                await client.train(RunSpec())


def test_a_damaged_detail_leaves_the_error_as_it_is(client: Any, service: Any, status: Callable[..., Any]) -> None:
    damaged = status(grpc.StatusCode.NOT_FOUND, "none", error_details_pb2.RetryInfo())
    damaged.details[0].value = b"\xff"
    service.failures["GetRun"].append(damaged)
    with pytest.raises(errors.NotFoundError, match="none") as caught:
        client.get_run(SOME_ID)
    assert caught.value.reason == ""


def test_a_damaged_status_leaves_the_error_as_it_is() -> None:
    class Damaged(grpc.RpcError):
        code = staticmethod(lambda: grpc.StatusCode.NOT_FOUND)
        details = staticmethod(lambda: "none")

        def trailing_metadata(self) -> Any:
            return (("grpc-status-details-bin", b"\xff"),)

    assert isinstance(to_error(Damaged()), errors.NotFoundError)


@pytest.mark.parametrize(
    ("code", "text", "answer"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "Received http2 header with status: 404", "HTTP status 404"),
        (grpc.StatusCode.UNKNOWN, "Received http2 header with status: 301", "HTTP status 301"),
        (grpc.StatusCode.UNAVAILABLE, "Received http2 header with status: 503", "HTTP status 503"),
        (
            grpc.StatusCode.UNKNOWN,
            "Stream removed (Data frame with END_STREAM flag received)",
            "an answer that is not of gRPC",
        ),
    ],
)
def test_another_server_is_no_loopbench_server(  # noqa: PLR0917 - most are fixtures
    code: grpc.StatusCode, text: str, answer: str, client: Any, service: Any, status: Callable[..., Any]
) -> None:
    service.failures["DeleteRun"].append(status(code, text))
    with pytest.raises(errors.ServerUnavailableError) as caught:
        client.delete_run(SOME_ID)
    assert caught.value.message == f"no loopbench server answers there, but something else: {answer}"
    assert caught.value.hint == "check host and port; a proxy answers so while its server is away"


def test_a_login_that_a_proxy_asks_for_stays_one(client: Any, service: Any, status: Callable[..., Any]) -> None:
    service.failures["DeleteRun"].append(
        status(grpc.StatusCode.UNAUTHENTICATED, "Received http2 header with status: 401")
    )
    with pytest.raises(errors.UnauthenticatedError, match="401"):
        client.delete_run(SOME_ID)


class Quiet(BaseHTTPRequestHandler):
    """Refuses every request, and logs none."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.usefixtures("short_pauses")
def test_a_web_server_is_no_loopbench_server(cli: Callable[..., Any]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        done = cli("delete", SOME_ID, "--server", f"127.0.0.1:{web.server_port}")
        web.shutdown()
    assert done.exit_code == ExitCode.UNAVAILABLE
    first, hint = done.stderr.splitlines()
    assert first.endswith("no loopbench server answers there, but something else: an answer that is not of HTTP/2")
    assert "--tls" in hint
