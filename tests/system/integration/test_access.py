"""Who may do what with a real server: tokens, roles, and what callers send."""

import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from loopbench.spec import Dataset, Execution, RunSpec
from loopbench.v1 import analysis_pb2
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench_client import AsyncClient, Client, UnauthenticatedError
from loopbench_server.access.tokens import Role, new_token

from .conftest import SECONDS_TO_READY, eventually

CLI = [sys.executable, "-c", "from loopbench_client.cli import main; main()"]
LET_IN = {"OK", "NOT_FOUND", "INVALID_ARGUMENT"}
NOBODYS_RUN = str(uuid.uuid4())

# A call of every method, which an idle server answers at once.
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "Train": lambda stub, metadata: stub.Train(pb.TrainRequest(request_id="no uuid"), metadata=metadata),
    "Evaluate": lambda stub, metadata: stub.Evaluate(pb.EvaluateRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "WatchRun": lambda stub, metadata: [*stub.WatchRun(pb.WatchRunRequest(run_id=NOBODYS_RUN), metadata=metadata)],
    "GetRun": lambda stub, metadata: stub.GetRun(pb.GetRunRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "ListRuns": lambda stub, metadata: stub.ListRuns(pb.ListRunsRequest(), metadata=metadata),
    "CancelRun": lambda stub, metadata: stub.CancelRun(pb.CancelRunRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "DeleteRun": lambda stub, metadata: stub.DeleteRun(pb.DeleteRunRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "Compare": lambda stub, metadata: stub.Compare(pb.CompareRequest(), metadata=metadata),
    "Diagnose": lambda stub, metadata: stub.Diagnose(pb.DiagnoseRequest(), metadata=metadata),
    "GetServerInfo": lambda stub, metadata: stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=metadata),
}
READING = {"WatchRun", "GetRun", "ListRuns", "Compare", "GetServerInfo"}
GARBAGE = ["../../etc/passwd", "/etc/passwd", "$(touch x)", "a\nb", "a\x00b", '"} 1\nx{a="', "x" * 500_000, "'; --"]


def code_of(call: Callable[..., Any], *arguments: Any, **metadata: Any) -> str:
    """The name of the status that a call ends with."""
    try:
        call(*arguments, **metadata)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


@pytest.fixture
def guarded(start: Any, tokens: dict[str, str], tmp_path: Path) -> Any:  # noqa: ARG001  they have to be there
    return start("--tokens-file", str(tmp_path / "tokens"), "--metrics-address", "127.0.0.1:0", "--log-level", "debug")


def bearing(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)


def test_the_calls_are_those_of_the_service() -> None:
    assert set(CALLS) == {method.name for method in pb.DESCRIPTOR.services_by_name["BenchmarkService"].methods}


def test_every_role_may_do_what_it_may_and_no_more(guarded: Any, tokens: dict[str, str]) -> None:
    with grpc.insecure_channel(guarded.address) as channel:
        stub = pb_grpc.BenchmarkServiceStub(channel)
        for method, call in CALLS.items():
            assert code_of(call, stub, ()) == "UNAUTHENTICATED", method
            assert code_of(call, stub, bearing("wrong")) == "UNAUTHENTICATED", method
            assert code_of(call, stub, bearing(tokens["write"])) in LET_IN, method
            allowed = LET_IN if method in READING else {"PERMISSION_DENIED"}
            assert code_of(call, stub, bearing(tokens["read"])) in allowed, method


def reflected(channel: grpc.Channel, secret: str = "") -> str:
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    return code_of(next, answers(requests, metadata=bearing(secret) if secret else ()))


def test_probes_need_no_token_and_reflection_does(guarded: Any, tokens: dict[str, str]) -> None:
    with grpc.insecure_channel(guarded.address) as channel:
        live = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert live.status == health_pb2.HealthCheckResponse.SERVING
        assert reflected(channel) == "UNAUTHENTICATED"
        assert reflected(channel, tokens["read"]) == "OK"


def test_reflection_can_be_left_out(start: Any) -> None:
    with grpc.insecure_channel(start("--no-reflection").address) as channel:
        assert reflected(channel) == "UNIMPLEMENTED"


def test_both_clients_and_the_command_line_show_a_token(guarded: Any, tokens: dict[str, str], tmp_path: Path) -> None:
    with Client(guarded.address, token=tokens["read"]) as client:
        assert client.server_info()
        assert not [*client.list()]
    with Client(guarded.address) as client, pytest.raises(UnauthenticatedError) as caught:
        client.server_info()
    assert "LOOPBENCH_TOKEN" in caught.value.hint
    (tmp_path / "mine").write_text(tokens["read"] + "\n")
    for words, environment in (
        (["--token-file", str(tmp_path / "mine")], {}),
        ([], {"LOOPBENCH_TOKEN": tokens["read"]}),
        ([], {"LOOPBENCH_TOKEN_FILE": str(tmp_path / "mine")}),
    ):
        command = [*CLI, "runs", "--server", guarded.address, *words]
        subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, timeout=60)


async def test_the_asyncio_client_shows_a_token_too(guarded: Any, tokens: dict[str, str]) -> None:
    async with AsyncClient(guarded.address, token=tokens["read"]) as client:
        assert await client.server_info()
        assert not [run async for run in client.list()]


def test_the_command_line_says_what_to_do(guarded: Any, tokens: dict[str, str]) -> None:
    def delete(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [*CLI, "delete", NOBODYS_RUN, "--server", guarded.address]
        environment = os.environ | environment
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    done = delete()
    assert done.returncode == 9
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert "LOOPBENCH_TOKEN" in done.stderr
    done = delete(LOOPBENCH_TOKEN=tokens["read"])
    assert done.returncode == 9
    assert "error: not allowed: DeleteRun needs the role write, and the token has read" in done.stderr
    assert "hint: Ask whoever runs the server" in done.stderr


def test_a_file_of_tokens_that_is_replaced_counts_at_once(guarded: Any, tokens: dict[str, str], tmp_path: Path) -> None:
    secret, token = new_token("new", Role.READ)
    with Client(guarded.address, token=tokens["read"]) as before, Client(guarded.address, token=secret) as after:
        assert before.server_info()
        with pytest.raises(UnauthenticatedError):
            after.server_info()
        (tmp_path / "tokens").write_text(token.line)
        assert after.server_info()
        with pytest.raises(UnauthenticatedError):
            before.server_info()


def metrics(server: Any) -> str:
    (listening,) = (line for line in server.events() if line["event"] == "listening")
    with urllib.request.urlopen(f"http://{listening['metrics_address']}/metrics") as response:
        return str(response.read().decode())


def test_refused_calls_are_counted_like_all_others(guarded: Any) -> None:
    with Client(guarded.address) as client, pytest.raises(UnauthenticatedError):
        client.server_info()
    labels = 'grpc_code="Unauthenticated",grpc_method="GetServerInfo",grpc_service="loopbench.v1.BenchmarkService"'
    eventually(lambda: f'grpc_server_handled_total{{{labels},grpc_type="unary"}} 1.0' in metrics(guarded))
    assert 'loopbench_rpc_errors_total{reason="UNAUTHENTICATED"} 1.0' in metrics(guarded)


def test_what_callers_send_reaches_neither_a_path_nor_a_label(guarded: Any, tokens: dict[str, str]) -> None:
    write = bearing(tokens["write"])
    with grpc.insecure_channel(guarded.address) as channel:
        stub = pb_grpc.BenchmarkServiceStub(channel)
        for text in GARBAGE:
            group = analysis_pb2.RunGroup(label=text[:200], run_ids=[text])
            requests: list[tuple[Any, Any]] = [
                (stub.GetRun, pb.GetRunRequest(run_id=text)),
                (stub.CancelRun, pb.CancelRunRequest(run_id=text)),
                (stub.DeleteRun, pb.DeleteRunRequest(run_id=text)),
                (
                    lambda request, metadata: [*stub.WatchRun(request, metadata=metadata)],
                    pb.WatchRunRequest(run_id=text),
                ),
                (stub.Evaluate, pb.EvaluateRequest(run_id=text)),
                (stub.Train, pb.TrainRequest(request_id=text)),
                (stub.ListRuns, pb.ListRunsRequest(page_token=text)),
                (stub.Compare, pb.CompareRequest(groups=[group, group])),
            ]
            for call, request in requests:
                assert code_of(call, request, metadata=write) == "INVALID_ARGUMENT", request
        for method in ("/loopbench.v1.BenchmarkService/..%2f", "/a/b/c/d", "/loopbench.v1.Other/GetRun"):
            unknown: Any = channel.unary_unary(method)
            assert code_of(unknown, b"", metadata=write) == "UNIMPLEMENTED"
    shown = metrics(guarded)
    assert not any(text in shown for text in ("etc", "touch", "xxxx", "..", "Other"))
    assert "internal error" not in guarded.log()
    assert "Traceback" not in guarded.log()


def test_callers_that_hang_up_half_way_leave_the_server_up(start: Any) -> None:
    # Whoever asks gRPC for the peer of such a call brings the whole server down.
    server = start("--log-level", "debug")
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        endless = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
        run_id = client.train(endless, detach=True).id
        for _ in range(100):
            with grpc.insecure_channel(server.address) as channel:
                next(pb_grpc.BenchmarkServiceStub(channel).WatchRun(pb.WatchRunRequest(run_id=run_id)))
        assert client.server_info().running == 1
        client.cancel(run_id)


def test_a_filter_is_bounded(start: Any) -> None:
    request = pb.ListRunsRequest(filter=pb.RunFilter(seeds=range(100_000)))
    with grpc.insecure_channel(start().address) as channel:
        stub = pb_grpc.BenchmarkServiceStub(channel)
        assert code_of(stub.ListRuns, request) == "INVALID_ARGUMENT"
