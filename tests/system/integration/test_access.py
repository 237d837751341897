"""Access to a real server, beyond the quick tests."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench_client import Client
from tests.smoke.test_server import catch_code, long_spec
from tests.support.servers import TIMEOUT_SECONDS, ServerProcess, Start

CLI = [sys.executable, "-c", "from loopbench_client.cli import main; main()"]
HANG_UPS = 100


def test_reflection_can_be_left_out(start: Start) -> None:
    with start("--no-reflection").channel() as channel:
        requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests)
        assert catch_code(next, answers) == "UNIMPLEMENTED"


@pytest.mark.slow
def test_the_command_line_takes_a_token_by_flag_and_by_file(
    start: Start, tokens: dict[str, str], tmp_path: Path
) -> None:
    server = start("--tokens-file", str(tmp_path / "tokens"))
    (tmp_path / "mine").write_text(tokens["read"] + "\n")
    for words, environment in (
        (["--token-file", str(tmp_path / "mine")], {}),
        ([], {"LOOPBENCH_TOKEN": tokens["read"]}),
        ([], {"LOOPBENCH_TOKEN_FILE": str(tmp_path / "mine")}),
    ):
        command = [*CLI, "runs", *words]
        subprocess.run(
            command, env=server.environment() | environment, check=True, capture_output=True, timeout=TIMEOUT_SECONDS
        )


@pytest.mark.slow
def test_callers_that_disconnect_midway_leave_the_server_up(server: ServerProcess, client: Client) -> None:
    # Reading the peer of such a call from gRPC crashes the server.
    run_id = client.train(long_spec(), detach=True).id
    for _ in range(HANG_UPS):
        with grpc.insecure_channel(server.address) as channel:
            next(pb_grpc.BenchmarkServiceStub(channel).WatchRun(pb.WatchRunRequest(run_id=run_id)))
    assert client.get_server_info().running == 1
    client.cancel_run(run_id)
