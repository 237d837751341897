"""A real server with TLS and mutual TLS, with a private CA."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench_client import Client, ServerUnavailableError, Tls, TlsError
from loopbench_client.cli.exit_codes import ExitCode
from tests.support.certificates import Authority, Pair
from tests.support.servers import TIMEOUT_SECONDS, Start, eventually


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates") / "foreign")


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(scope="module")
def callers_pair(authority: Authority) -> Pair:
    return authority.issue("alice")


@pytest.mark.slow
def test_the_command_line_explains_a_tls_failure_in_two_lines(start: Start, pair: Pair, foreign: Authority) -> None:
    server = start(*pair.flags)
    words = ["runs", "--server", server.address, "--tls-ca", str(foreign.certificate)]
    command = [sys.executable, "-c", "from loopbench_client.cli import main; main()", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    assert done.returncode == ExitCode.NO_ACCESS
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


@pytest.mark.slow
def test_a_certificate_for_another_name_is_one_clear_line(start: Start, pair: Pair, authority: Authority) -> None:
    server = start("--address", "127.0.0.2:0", *pair.flags)
    with Client(server.address, tls=Tls(ca=authority.certificate)) as client, pytest.raises(TlsError) as caught:
        client.get_server_info()
    assert "for another name" in caught.value.message


def test_mutual_tls_accepts_certificates_signed_by_its_ca(
    start: Start, pair: Pair, callers_pair: Pair, authority: Authority, foreign: Authority
) -> None:
    server = start(*pair.flags, "--tls-client-ca", str(authority.certificate), "--log-level", "debug")
    ours = Tls(authority.certificate, callers_pair.certificate, callers_pair.key)
    with Client(server.address, tls=ours) as client:
        assert client.get_server_info().versions["loopbench"]
    eventually(lambda: '"caller": "alice"' in server.log())
    stranger = foreign.issue("mallory")
    for tls in (Tls(authority.certificate), Tls(authority.certificate, stranger.certificate, stranger.key)):
        with Client(server.address, tls=tls) as client, pytest.raises(ServerUnavailableError) as caught:
            client.get_server_info()
        assert "--tls-client-certificate" in caught.value.hint


def test_a_certificate_that_is_replaced_serves_the_next_connection(
    start: Start, pair: Pair, authority: Authority, foreign: Authority, tmp_path: Path
) -> None:
    used = Pair(tmp_path / "certificate.pem", tmp_path / "key.pem")
    shutil.copy(pair.certificate, used.certificate)
    shutil.copy(pair.key, used.key)
    server = start(*used.flags)

    def answers(ca: Authority) -> bool:
        with Client(server.address, tls=Tls(ca.certificate)) as client:
            try:
                return bool(client.get_server_info())
            except TlsError:
                return False

    with Client(server.address, tls=Tls(authority.certificate)) as connected:
        assert connected.get_server_info()
        other = foreign.issue("other")
        # A certificate without its new key is an incomplete change, and is not used.
        shutil.copy(other.certificate, used.certificate)
        assert answers(authority)
        assert not answers(foreign)
        assert "is not the unencrypted PEM key of" in server.log()
        shutil.copy(other.key, used.key)
        assert answers(foreign)
        assert not answers(authority)
        # Existing connections stay open.
        assert connected.get_server_info()
