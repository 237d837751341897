"""A real server by TLS and mutual TLS, with a CA of the test's own."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench.v1 import benchmark_service_pb2, benchmark_service_pb2_grpc
from loopbench_client import AsyncClient, Client, ServerUnavailableError, Tls, TlsError
from tests.support.certificates import Authority, Pair

from .conftest import SECONDS_TO_READY, eventually

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates") / "foreign")


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(scope="module")
def callers_pair(authority: Authority) -> Pair:
    return authority.issue("alice")


def test_tls_lets_in_those_who_trust_its_ca(start: Any, pair: Pair, authority: Authority, foreign: Authority) -> None:
    server = start(*pair.flags)
    with Client(server.address, tls=Tls(ca=authority.certificate)) as client:
        assert client.server_info().versions["loopbench"]
    with Client(server.address, tls=Tls(ca=foreign.certificate)) as client, pytest.raises(TlsError) as caught:
        client.wait_ready(60)
    assert caught.value.message == "the server's certificate is not one that is trusted here"
    assert "--tls-ca" in caught.value.hint
    with Client(server.address) as client, pytest.raises(ServerUnavailableError) as refused:
        client.server_info()
    assert "--tls" in refused.value.hint


async def test_the_asyncio_client_speaks_tls_too(start: Any, pair: Pair, authority: Authority) -> None:
    server = start(*pair.flags)
    async with AsyncClient(server.address, tls=Tls(ca=authority.certificate)) as client:
        assert (await client.server_info()).versions["loopbench"]


def test_tls_with_a_server_that_has_none_is_one_clear_line(start: Any, authority: Authority) -> None:
    server = start()
    with Client(server.address, tls=Tls(ca=authority.certificate)) as client, pytest.raises(TlsError) as caught:
        client.server_info()
    assert caught.value.message == "what answers there does not speak TLS"


def test_the_command_line_says_in_two_lines_why_there_is_no_tls(start: Any, pair: Pair, foreign: Authority) -> None:
    server = start(*pair.flags)
    words = ["runs", "--server", server.address, "--tls-ca", str(foreign.certificate)]
    command = [sys.executable, "-c", "from loopbench_client.cli import main; main()", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 9
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_a_certificate_for_another_name_is_one_clear_line(start: Any, pair: Pair, authority: Authority) -> None:
    server = start("--address", "127.0.0.2:0", *pair.flags)
    with Client(server.address, tls=Tls(ca=authority.certificate)) as client, pytest.raises(TlsError) as caught:
        client.server_info()
    assert "for another name" in caught.value.message


def test_mutual_tls_lets_in_those_whose_certificate_its_ca_signed(
    start: Any, pair: Pair, callers_pair: Pair, authority: Authority, foreign: Authority
) -> None:
    server = start(*pair.flags, "--tls-client-ca", str(authority.certificate), "--log-level", "debug")
    ours = Tls(authority.certificate, callers_pair.certificate, callers_pair.key)
    with Client(server.address, tls=ours) as client:
        assert client.server_info().versions["loopbench"]
    eventually(lambda: '"caller": "alice"' in server.log())
    stranger = foreign.issue("mallory")
    for tls in (Tls(authority.certificate), Tls(authority.certificate, stranger.certificate, stranger.key)):
        with Client(server.address, tls=tls) as client, pytest.raises(ServerUnavailableError) as caught:
            client.server_info()
        assert "--tls-client-certificate" in caught.value.hint


def test_a_certificate_that_is_replaced_serves_the_next_connection(
    start: Any, pair: Pair, authority: Authority, foreign: Authority, tmp_path: Path
) -> None:
    used = Pair(tmp_path / "certificate.pem", tmp_path / "key.pem")
    shutil.copy(pair.certificate, used.certificate)
    shutil.copy(pair.key, used.key)
    server = start(*used.flags)

    def answers(ca: Authority) -> bool:
        with Client(server.address, tls=Tls(ca.certificate)) as client:
            try:
                return bool(client.server_info())
            except TlsError:
                return False

    with Client(server.address, tls=Tls(authority.certificate)) as connected:
        assert connected.server_info()
        other = foreign.issue("other")
        # A certificate whose key has not come yet is half a change, and serves nobody.
        shutil.copy(other.certificate, used.certificate)
        assert answers(authority)
        assert not answers(foreign)
        assert "is not the key of" in server.log()
        shutil.copy(other.key, used.key)
        assert answers(foreign)
        assert not answers(authority)
        # Connections that there are stay.
        assert connected.server_info()


def test_probes_without_tls_and_tokens_ask_for_health_alone(
    start: Any, pair: Pair, tokens: dict[str, str], authority: Authority, tmp_path: Path
) -> None:
    tokens_file = str(tmp_path / "tokens")
    server = start(*pair.flags, "--tokens-file", tokens_file, "--health-address", "127.0.0.1:0")
    with Client(server.address, token=tokens["read"], tls=Tls(ca=authority.certificate)) as client:
        client.wait_ready(SECONDS_TO_READY)
    (listening,) = (event for event in server.events() if event["event"] == "listening")
    with grpc.insecure_channel(listening["health_address"]) as channel:
        probe = health_pb2_grpc.HealthStub(channel)
        assert probe.Check(health_pb2.HealthCheckRequest()).status == SERVING
        assert probe.Check(health_pb2.HealthCheckRequest(service="loopbench.v1.BenchmarkService")).status == SERVING
        with pytest.raises(grpc.RpcError) as refused:
            benchmark_service_pb2_grpc.BenchmarkServiceStub(channel).GetServerInfo(
                benchmark_service_pb2.GetServerInfoRequest()
            )
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
