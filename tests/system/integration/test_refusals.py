"""Settings with which a server refuses to start, and values that it never shows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench_client import Client, Tls, UnauthenticatedError
from loopbench_server.security.tokens import Role, new_token
from tests.support.certificates import Authority
from tests.support.servers import TIMEOUT_SECONDS, Start, eventually

PASSWORD = "geheim"  # noqa: S105  that of no database
URLS = [
    f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:1/runs",
    f"postgresql+psycopg://u:x@{PASSWORD}@127.0.0.1:1/runs",
    f"postgresql+psycopg://u:x:{PASSWORD}@127.0.0.1:1/runs",
    f"postgresql+psycopg://127.0.0.1:1/runs?user=u&password={PASSWORD}",
    f"postgresql+psycopg://127.0.0.1:{PASSWORD}/runs",
    f"postgresql+psycopg:/u:{PASSWORD}@127.0.0.1/runs",
    f"nosuchdatabase://u:{PASSWORD}@127.0.0.1/runs",
    f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:1/runs?nosuchoption=1",
]


def run_server(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a server that must refuse to start."""
    command = [sys.executable, "-m", "loopbench_server", "--metrics-address", "none", *words]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )


def test_a_public_server_without_tls_and_tokens_does_not_listen() -> None:
    done = run_server("--address", "0.0.0.0:0")
    assert (done.returncode, done.stdout) == (1, "")
    assert all(flag in done.stderr for flag in ("0.0.0.0:0", "--tls-certificate", "--tokens-file", "--insecure"))
    assert "Traceback" not in done.stderr


def test_all_access_errors_are_reported_together(tmp_path: Path, authority: Authority) -> None:
    pair, callers_pair = authority.issue("server"), authority.issue("alice")
    (tmp_path / "tokens").write_text("alice\nbob read x\n")
    words = ["--tls-certificate", str(pair.certificate), "--tls-key", str(callers_pair.key)]
    done = run_server(*words, "--tokens-file", str(tmp_path / "tokens"))
    assert (done.returncode, done.stdout) == (1, "")
    assert [part in done.stderr for part in ("is not the unencrypted PEM key of", "line 1", "line 2")] == [True] * 3
    done = run_server("--address", "0.0.0.0:0", "--tokens-file", str(tmp_path / "none"))
    assert [part in done.stderr for part in ("--tls-certificate", "cannot be read")] == [True] * 2


@pytest.mark.slow
def test_the_temporary_folder_may_have_a_long_path(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 200)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    start().wait_ready()


@pytest.mark.slow
def test_insecure_is_logged_and_works(start: Start) -> None:
    # On loopback; other tests cover the rule for public addresses.
    with start("--insecure").client() as client:
        assert client.get_server_info()


@pytest.mark.slow
def test_a_unix_socket_is_an_address(start: Start, tmp_path: Path) -> None:
    server = start("--address", f"unix:{tmp_path / 'socket'}")
    assert server.address == f"unix:{tmp_path / 'socket'}"
    with server.client() as client:
        assert client.get_server_info()


@pytest.mark.parametrize("url", [URLS[0], *(pytest.param(url, marks=pytest.mark.slow) for url in URLS[1:])])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_start_shows_the_password_of_the_database(url: str, log_format: str) -> None:
    words = ["--address", "127.0.0.1:0", "--log-level", "debug", "--log-format", log_format]
    done = run_server(*words, LOOPBENCH_STORE_URL=url)
    # 1 if the database could answer later.
    assert (done.returncode in {1, 2}, done.stdout) == (True, "")
    assert PASSWORD not in done.stderr
    assert "loopbench-server: --store-url: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_no_log_shows_the_headers_for_a_collector_of_traces(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization {PASSWORD}")  # it lacks the "="
    server = start("--log-level", "debug")
    with server.client() as client:
        assert client.get_server_info()
    assert "listening" in server.log()
    assert PASSWORD not in server.log()


@pytest.mark.slow
def test_no_log_for_a_console_shows_a_token_its_hash_or_a_key(
    start: Start, tokens: dict[str, str], authority: Authority, tmp_path: Path
) -> None:
    """tests/smoke has this test for JSON lines."""
    pair = authority.issue("server")
    file = tmp_path / "tokens"
    server = start(*pair.flags, "--tokens-file", str(file), "--log-level", "debug", "--log-format", "console")
    tls = Tls(authority.certificate)
    unknown = new_token("nobody", Role.WRITE)[0]
    with Client(server.address, token=tokens["write"], tls=tls) as client:
        client.get_server_info()
        file.write_text(file.read_text() + f"a secret by mistake {unknown}\n")
        client.get_server_info()
    with Client(server.address, token=unknown, tls=tls) as client, pytest.raises(UnauthenticatedError):
        client.get_server_info()
    eventually(lambda: "UNAUTHENTICATED" in server.log())
    log = server.log()
    assert "line 3" in log
    hashes = [word for line in file.read_text().splitlines() for word in line.split() if len(word) == 64]
    key = pair.key.read_text().splitlines()[1]
    assert len(hashes) == 2
    assert not [secret for secret in (*tokens.values(), unknown, *hashes, key) if secret in log]
