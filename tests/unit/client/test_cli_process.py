"""The command ``loopbench`` as the shell runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopbench_client.cli import main
from loopbench_client.cli.exit_codes import ExitCode

START = [sys.executable, "-c", "from loopbench_client.cli import main; main()"]
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell() -> Shell:
    """Runs ``loopbench`` with these arguments in a separate process."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "LOOPBENCH_SERVER"}
        return subprocess.run(
            [*START, *words], env=environment | more, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[object, str]]:
    """Runs ``loopbench`` in this process; returns the exit code and standard error."""

    def run(*words: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["loopbench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.mark.usefixtures("short_pauses")
def test_an_absent_server_prints_no_traceback(here: Callable[..., tuple[object, str]]) -> None:
    code, stderr = here("show", "x", "--server", "127.0.0.1:1")
    assert code == ExitCode.UNAVAILABLE
    assert stderr.startswith("error: the server is not available: ")
    assert "Traceback" not in stderr


@pytest.mark.parametrize("words", ["train --epochs many", "nonsense", "show", "compare x y"])
def test_a_users_mistake_prints_no_traceback(
    words: str, here: Callable[..., tuple[object, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOOPBENCH_SERVER", raising=False)
    code, stderr = here(*words.split())
    assert code == ExitCode.BAD_INPUT
    assert "Traceback" not in stderr


def test_one_command_starts_an_embedded_server(shell: Shell, server_package: Path) -> None:
    done = shell("train", "--dataset", "digits")
    assert done.returncode == ExitCode.SUCCESS, done.stderr
    assert "96.61 %" in done.stdout
    assert (server_package / "drained").exists()


def test_a_failing_embedded_server_prints_no_traceback(shell: Shell, server_package: Path) -> None:
    (server_package / "__main__.py").write_text("raise SystemExit('no luck')")
    done = shell("runs")
    assert done.returncode == ExitCode.UNAVAILABLE
    assert "no luck" in done.stderr
    assert "hint: name a server with --server" in done.stderr
    assert "Traceback" not in done.stderr


def test_interrupting_train_cancels_the_run(address: str, service: Any) -> None:
    service.hold = True
    # A shell's background process ignores SIGINT, and its children inherit that.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [START[0], START[1], listen + START[2], "train", "--server", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert service.held.wait(30)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == ExitCode.INTERRUPTED
    assert stderr.endswith("interrupted\n")
    assert service.abandoned.wait(10)


@pytest.mark.parametrize("command", ["runs", "runs --json"])
def test_a_closed_pipe_prints_no_traceback(command: str, address: str, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id=str(number)) for number in range(200)]
    words = [*START, *command.split(), "--limit", "200", "--server", address]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def test_the_shell_completes_choices(shell: Shell) -> None:
    words = "loopbench train --method "
    done = shell(_LOOPBENCH_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="3")
    assert done.stdout.split() == ["gradient-tape", "fit", "custom-train-step"]
