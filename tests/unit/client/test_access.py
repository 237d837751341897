"""Tokens and TLS files that a client sends, and to which addresses."""

import socket
from pathlib import Path
from typing import Any

import pytest

from loopbench import spec
from loopbench.v1 import benchmark_service_pb2
from loopbench_client import Access, AccessError, AsyncClient, Client, Tls, TlsError, embedded_server
from loopbench_client.access import VARIABLES
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.tls_errors import failed_handshake, hint_on
from tests.support.certificates import Authority, Pair

METHODS = {method.name for method in benchmark_service_pb2.DESCRIPTOR.services_by_name["BenchmarkService"].methods}
SECRET = "secret"  # noqa: S105  of nobody
SPEC = spec.RunSpec()
GROUPS = [spec.RunGroup(label=label, run_ids=("x",)) for label in "ab"]
ALL_VARIABLES = ["LOOPBENCH_TOKEN", *VARIABLES.values()]


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ALL_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_token_is_sent_with_every_call(address: str, service: Any) -> None:
    with Client(address, token=SECRET) as client:
        client.train(SPEC, on_progress=lambda _: None)
        client.evaluate("x")
        client.get_run("x")
        [*client.list_runs()]
        client.packed_weights("x")
        client.cancel_run("x")
        client.delete_run("x")
        client.compare(GROUPS)
        client.diagnose("x", "y")
        client.get_server_info()
    assert service.authorizations == {method: [f"Bearer {SECRET}"] for method in METHODS}


async def test_the_asyncio_client_sends_the_token_with_every_call(address: str, service: Any) -> None:
    async with AsyncClient(address, token=SECRET) as client:
        await client.train(SPEC, on_progress=lambda _: None)
        await client.evaluate("x")
        await client.get_run("x")
        [_ async for _ in client.list_runs()]
        await client.packed_weights("x")
        await client.cancel_run("x")
        await client.delete_run("x")
        await client.compare(GROUPS)
        await client.diagnose("x", "y")
        await client.get_server_info()
    assert service.authorizations == {method: [f"Bearer {SECRET}"] for method in METHODS}


def test_without_a_token_no_header_is_sent(client: Client, service: Any) -> None:
    client.get_run("x")
    assert service.authorizations == {"GetRun": [None]}


@pytest.mark.parametrize("address", ["10.0.0.1:1", "example.org:443", "dns:///localhost:1", "0.0.0.0:1"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_no_token_is_sent_in_plain_text_to_another_machine(kind: Any, address: str) -> None:
    with pytest.raises(TlsError, match="in the clear to") as caught:
        kind(address, token=SECRET)
    assert "--tls" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_tls_allows_a_token_to_any_machine() -> None:
    with Client("example.org:443", token=SECRET, tls=Tls()) as client:
        assert client.address == "example.org:443"


@pytest.mark.parametrize("token", ["", "two words", "new\nline", "ümlaut", "tab\t"])
def test_an_invalid_header_value_is_no_token_and_is_not_shown(token: str) -> None:
    with pytest.raises(AccessError) as caught:
        Access(token)
    assert not token or token not in str(caught.value)


def test_no_form_of_access_shows_the_token() -> None:
    assert "secret" not in f"{Access('secret')!r} {Access('secret')}"


def test_every_file_of_tls_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = [tmp_path / name for name in ("ca", "certificate", "key")]
    with pytest.raises(TlsError) as caught:
        Client("127.0.0.1:1", tls=Tls(*missing))
    assert all(str(path) in caught.value.message for path in missing)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Pair, Pair]:
    """A CA and two of its certificates."""
    authority = Authority(tmp_path_factory.mktemp("access") / "ca")
    return authority, authority.issue("alice"), authority.issue("bob")


@pytest.mark.parametrize(
    ("flags", "at_fault"),
    [
        (("--tls-ca", "{text}"), ["{text}"]),
        (("--tls-ca", "{key}"), ["{key}"]),
        (("--tls-client-certificate", "{text}", "--tls-client-key", "{key}"), ["{text}"]),
        (("--tls-client-certificate", "{key}", "--tls-client-key", "{key}", "--tls-ca", "{text}"), ["{key}", "{text}"]),
        (("--tls-client-certificate", "{certificate}", "--tls-client-key", "{text}"), ["{text}"]),
        (("--tls-client-certificate", "{certificate}", "--tls-client-key", "{other_key}"), ["{other_key}"]),
    ],
)
def test_a_file_for_tls_with_other_contents_is_named_before_anything_is_sent(
    flags: tuple[str, ...], at_fault: list[str], pairs: tuple[Authority, Pair, Pair], cli: Any, tmp_path: Path
) -> None:
    _, alice, bob = pairs
    text = tmp_path / "text"
    text.write_text("no certificate and no key\n")
    paths = {"text": text, "certificate": alice.certificate, "key": alice.key, "other_key": bob.key}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        done = cli("info", "--server", address, *(flag.format(**paths) for flag in flags))
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert done.exit_code == ExitCode.NO_ACCESS
    (line,) = done.stderr.splitlines()
    assert all(path.format(**paths) in line for path in at_fault)


def test_a_bundle_of_cas_may_name_them_in_any_characters(pairs: tuple[Authority, Pair, Pair], tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("# Főtanúsítvány\n" + pairs[0].certificate.read_text(), encoding="utf-8")
    assert Tls(bundle).credentials()


@pytest.mark.parametrize("tls", [Tls(certificate=Path("x")), Tls(key=Path("x"))])
def test_a_certificate_without_its_key_is_refused(tls: Tls) -> None:
    with pytest.raises(TlsError, match="go together"):
        Client("127.0.0.1:1", tls=tls)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Access()),
        ({"LOOPBENCH_TOKEN": "a"}, Access("a")),
        ({"LOOPBENCH_TOKEN_FILE": "{file}"}, Access("of-the-file")),
        ({"LOOPBENCH_TOKEN_FILE": "{file}", "LOOPBENCH_TOKEN": "a"}, Access("of-the-file")),
        ({"LOOPBENCH_TLS": "1"}, Access(tls=Tls())),
        ({"LOOPBENCH_TLS": "0", "LOOPBENCH_TOKEN": ""}, Access()),
        ({"LOOPBENCH_TLS_CA": "ca"}, Access(tls=Tls("ca"))),
        (
            {"LOOPBENCH_TLS_CLIENT_CERTIFICATE": "c", "LOOPBENCH_TLS_CLIENT_KEY": "k"},
            Access(tls=Tls(None, "c", "k")),
        ),
    ],
)
def test_the_environment_gives_access(
    environment: dict[str, str], expected: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of-the-file\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(file=tmp_path / "token"))
    assert Access.from_environment() == expected


def test_flags_of_the_command_line_reach_the_client(cli: Any, service: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert cli("show", "x", "--token-file", str(tmp_path / "token")).exit_code == ExitCode.SUCCESS
    assert service.authorizations["GetRun"] == ["Bearer secret"]
    assert cli("show", "x").exit_code == ExitCode.SUCCESS
    assert service.authorizations["GetRun"] == ["Bearer secret", None]


@pytest.mark.parametrize(
    "words",
    [
        ["--token-file", "/no/such/file"],
        ["--tls-ca", "/no/such/file"],
        ["--tls-client-certificate", "/no/such/file", "--tls-client-key", "/no/such/file"],
        ["--tls-client-key", "/no/such/file"],
    ],
)
def test_a_flag_that_cannot_be_used_is_one_line_and_no_call(words: list[str], cli: Any, service: Any) -> None:
    done = cli("show", "x", *words)
    assert done.exit_code == ExitCode.NO_ACCESS
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not service.requests


def test_an_embedded_server_ignores_access_settings(server_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = server_package / "__main__.py"
    guard = "import os\nfor name in os.environ:\n    if 'TOKEN' in name or 'TLS' in name: raise SystemExit(name)\n"
    main.write_text(guard + main.read_text())
    servers = ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA", "TOKENS_FILE")
    for name in (*ALL_VARIABLES, *(f"LOOPBENCH_{name}" for name in servers)):
        monkeypatch.setenv(name, "x")
    with embedded_server() as server, Client(server.address) as client:
        assert client.get_server_info().ready


CONNECTING = "failed to connect to all addresses; last error: "


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Tls handshake failed: SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED: certificate has expired", "not one that is"),
        ("Ssl handshake failed: SSL_ERROR_SSL: WRONG_VERSION_NUMBER", "does not speak TLS"),
        ("Peer name localhost is not in peer certificate", "for another name"),
        ("Tls handshake failed (TSI_PROTOCOL_FAILURE): something new", "handshake failed"),
    ],
)
def test_a_failed_handshake_has_a_specific_message(text: str, meaning: str) -> None:
    trouble = failed_handshake(CONNECTING + text)
    assert trouble is not None
    assert meaning in trouble.meaning
    assert trouble.hint


def test_an_absent_server_is_no_tls_error() -> None:
    text = CONNECTING + "UNKNOWN: ipv4:127.0.0.1:1: connect: Connection refused"
    assert failed_handshake(text) is None
    assert hint_on(text).startswith("check the address")
    assert hint_on("Socket closed") == ""
    assert "--tls" in hint_on(CONNECTING + "UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed")
