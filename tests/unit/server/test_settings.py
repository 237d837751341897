import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import SecretStr
from pydantic_settings import CliApp

from loopbench_server import app
from loopbench_server.__main__ import main
from loopbench_server.config import Settings
from loopbench_server.errors import SettingError, StartError

FLAGS = {name: f"--{name.replace('_', '-')}" for name in Settings.model_fields}
# Setting, its text, its value, and another text.
VALUES: list[tuple[str, str, Any, str]] = [
    ("address", "0.0.0.0:0", "0.0.0.0:0", "[::]:1"),
    ("metrics_address", "none", "none", "[::]:1"),
    ("health_address", "0.0.0.0:0", "0.0.0.0:0", "none"),
    ("store_url", "sqlite:///x.db", SecretStr("sqlite:///x.db"), "sqlite://"),
    ("data_dir", "/data", Path("/data"), "/other"),
    ("tensorboard_dir", "/logs", Path("/logs"), "/other"),
    ("slots", "3", 3, "4"),
    ("gpu_slots", "3", 3, "4"),
    ("standby_workers", "3", 3, "4"),
    ("queue_size", "0", 0, "4"),
    ("caller_runs", "2", 2, "4"),
    ("run_seconds", "1.5", 1.5, "4"),
    ("run_megabytes", "500", 500, "4"),
    ("lease_seconds", "1.5", 1.5, "4"),
    ("keep_runs_days", "0.5", 0.5, "4"),
    ("keep_weights_days", "0.5", 0.5, "4"),
    ("threads_per_run", "2", 2, "4"),
    ("drain_seconds", "0.5", 0.5, "4"),
    ("log_format", "console", "console", "json"),
    ("log_level", "debug", "debug", "error"),
    ("exit_on_stdin_eof", "true", True, "false"),
    ("tls_certificate", "/c.pem", Path("/c.pem"), "/other"),
    ("tls_key", "/k.pem", Path("/k.pem"), "/other"),
    ("tls_client_ca", "/ca.pem", Path("/ca.pem"), "/other"),
    ("tokens_file", "/tokens", Path("/tokens"), "/other"),
    ("insecure", "true", True, "false"),
    ("reflection", "false", False, "true"),
]
# Switches take no value.
SWITCHES = {True: "--{}", False: "--no-{}"}
# Flags that other flags require.
BESIDE = {
    "tls_certificate": ["--tls-key", "/beside"],
    "tls_key": ["--tls-certificate", "/beside"],
    "tls_client_ca": ["--tls-certificate", "/beside", "--tls-key", "/beside"],
}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("LOOPBENCH_"):
            monkeypatch.delenv(name)


class Ended(NamedTuple):
    """Exit code and output of a program."""

    code: object
    stdout: str
    stderr: str


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs the server's main function with these arguments; it must exit."""

    monkeypatch.setattr(app, "run", lambda _: pytest.fail("the server accepted the arguments"))

    def run(*arguments: str) -> Ended:
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["loopbench-server", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def test_the_table_has_every_setting() -> None:
    assert sorted(name for name, *_ in VALUES) == sorted(Settings.model_fields)


@pytest.mark.parametrize(("name", "given", "value", "other"), VALUES)
def test_a_setting_is_a_flag_and_a_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str, value: Any, other: str
) -> None:
    flag = [SWITCHES[value].format(FLAGS[name][2:])] if isinstance(value, bool) else [FLAGS[name], given]
    beside = BESIDE.get(name, [])
    assert getattr(CliApp.run(Settings, cli_args=flag + beside), name) == value
    monkeypatch.setenv(f"LOOPBENCH_{name.upper()}", given)
    assert getattr(CliApp.run(Settings, cli_args=beside), name) == value
    # The flag wins.
    monkeypatch.setenv(f"LOOPBENCH_{name.upper()}", other)
    assert getattr(CliApp.run(Settings, cli_args=beside), name) != value
    assert getattr(CliApp.run(Settings, cli_args=flag + beside), name) == value


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_defaults_are_for_one_machine() -> None:
    settings = CliApp.run(Settings, cli_args=[])
    assert settings.address.startswith("127.0.0.1:")
    assert settings.metrics_address.startswith("127.0.0.1:")
    assert settings.store_url.get_secret_value().startswith("sqlite:///")
    assert settings.slots == os.cpu_count()
    assert not settings.exit_on_stdin_eof


def test_unknown_flags_are_named_with_suggestions(server: Callable[..., Ended]) -> None:
    answer = server("--adress", "127.0.0.1:1", "--log-levl=x", "--xyzzy", "--no-reflection")
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.splitlines() == [
        "loopbench-server: --adress: there is no such flag; did you mean --address?",
        "loopbench-server: --log-levl: there is no such flag; did you mean --log-level?",
        "loopbench-server: --xyzzy: there is no such flag; --help lists all",
    ]


def test_help_lists_every_flag_with_its_description(server: Callable[..., Ended]) -> None:
    answer = server("--help")
    assert (answer.code, answer.stderr) == (0, "")
    assert set(FLAGS.values()) <= set(answer.stdout.replace(",", " ").split())
    text = " ".join(answer.stdout.split())
    assert all(str(field.description) in text for field in Settings.model_fields.values())


def test_all_bad_flags_are_named() -> None:
    command = [sys.executable, "-m", "loopbench_server", "--slots", "0", "--queue-size", "-1"]
    command += ["--log-level", "loud", "--drain-seconds", "soon"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    lines = answer.stderr.splitlines()
    named = {line.split(":")[1].strip() for line in lines}
    assert named == {"--slots", "--queue-size", "--log-level", "--drain-seconds"}
    assert len(lines) == 4
    assert answer.stdout == ""


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, server: Callable[..., Ended]) -> None:
    monkeypatch.setenv("LOOPBENCH_SLOTS", "many")
    answer = server()
    assert answer.code == 2
    assert answer.stderr.startswith("loopbench-server: --slots: ")
    assert "Traceback" not in answer.stderr


FORMS = {
    "--address": ("HOST:PORT", "unix:PATH"),
    "--metrics-address": ("HOST:PORT", "'none'"),
    "--health-address": ("HOST:PORT", "unix:PATH", "'none'"),
}
BAD_ADDRESSES = ["", ":0", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:99999", "::1:0", "[::1:0", " 127.0.0.1:0"]
BAD_ADDRESSES += ["127.0.0.1:0 ", "127.0.0.1:0\n", "unix:", "http://127.0.0.1:0", "dns:///127.0.0.1:0", "NONE"]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_a_wrong_address_is_one_line_with_all_forms(address: str, server: Callable[..., Ended]) -> None:
    answer = server(*(word for flag in FORMS for word in (flag, address)))
    assert (answer.code, answer.stdout) == (2, "")
    lines = {line.split(": ")[1]: line for line in answer.stderr.splitlines()}
    assert len(lines) == len(answer.stderr.splitlines())
    named = {
        flag: tuple(form for form in ("HOST:PORT", "unix:PATH", "'none'") if form in lines[flag]) for flag in lines
    }
    assert named == FORMS
    assert all("65,535" in line for line in lines.values())


@pytest.mark.parametrize(
    ("flag", "address"),
    [
        *((flag, address) for flag in FORMS for address in ("127.0.0.1:0", "[::]:65535", "localhost:1")),
        *((flag, "unix:x y/z.sock") for flag in ("--address", "--health-address")),
        *((flag, "none") for flag in ("--metrics-address", "--health-address")),
    ],
)
def test_an_address_has_one_of_its_forms(flag: str, address: str) -> None:
    settings = CliApp.run(Settings, cli_args=[flag, address])
    assert getattr(settings, flag[2:].replace("-", "_")) == address


@pytest.mark.parametrize(
    ("given", "bad"),
    [
        (["--tls-key", "k"], {"--tls-key"}),
        (["--tls-certificate", "c"], {"--tls-key"}),
        (["--tls-client-ca", "a"], {"--tls-client-ca"}),
        (["--tls-key", "k", "--tls-client-ca", "a", "--slots", "0"], {"--tls-key", "--tls-client-ca", "--slots"}),
    ],
)
def test_incomplete_tls_flags_are_named(given: list[str], bad: set[str], server: Callable[..., Ended]) -> None:
    answer = server(*given)
    assert answer.code == 2
    assert {line.split(":")[1].strip() for line in answer.stderr.splitlines()} == bad


@pytest.mark.parametrize(("error", "code"), [(SettingError("no"), 2), (StartError("no"), 1)])
def test_an_error_at_the_start_is_one_line_with_its_exit_code(
    server: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, error: StartError, code: int
) -> None:
    def refuse(_: Settings) -> None:
        raise error

    monkeypatch.setattr(app, "run", refuse)
    assert server() == (code, "", "loopbench-server: no\n")


def test_no_form_of_the_settings_shows_the_password_of_the_database() -> None:
    settings = CliApp.run(Settings, cli_args=["--store-url", "postgresql+psycopg://u:geheim@h/runs"])
    assert "geheim" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_an_unknown_flag_is_refused(server: Callable[..., Ended]) -> None:
    answer = server("--slot-count", "3")
    assert answer.code == 2
    assert "--slot-count" in answer.stderr
    assert "Traceback" not in answer.stderr
