"""No command is silent while it waits, and none ends in a traceback because of its terminal."""

import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from loopbench import spec
from loopbench_client import Client
from loopbench_client.cli import app, waiting
from loopbench_client.cli.app import COMMANDS
from loopbench_client.cli.exit_codes import ExitCode
from tests.support.fake_service import RUN_ID

Cli = Callable[..., Result]
START = [sys.executable, "-c", "from loopbench_cli import main; main()"]
CANCELLED = f"run {RUN_ID} is cancelled, unless another caller waits for it"
TWO = ("--spec", "a: method=fit", "--spec", "b: loss=mean-squared-error", "--seeds", "2")
# The method that a command waits for, and its arguments.
WAITS = {
    ("ListRuns", "the list of runs"): ("runs",),
    ("GetRun", "the run"): ("show", RUN_ID),
    ("GetServerInfo", "the answer of the server"): ("info",),
    ("CancelRun", "the end of the run"): ("cancel", RUN_ID),
    ("DeleteRun", "the deletion of 1 run"): ("delete", RUN_ID),
    ("GetWeights", "the weights"): ("weights", RUN_ID, "w.npz"),
    ("Evaluate", "the evaluation"): ("evaluate", RUN_ID),
    ("Diagnose", "the experiments"): ("diagnose", RUN_ID, RUN_ID),
}


@pytest.mark.parametrize(("wait", "words"), WAITS.items(), ids=[method for method, _ in WAITS])
def test_a_long_wait_says_for_what_and_until_when(
    cli: Cli, service: Any, wait: tuple[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    method, what = wait
    answer = service._enter

    def late(called: str, *rest: Any) -> None:
        if called == method:
            time.sleep(0.5)
        answer(called, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr(waiting, "LONG_SECONDS", 0.05)
        patch.setattr(service, "_enter", late)
        first = cli(*words).stderr.splitlines()[0]
    assert first.startswith(f"waiting for {what}, until ")
    assert first.endswith(" at the latest")


@pytest.mark.parametrize(
    "words", [("train",), ("demo",), ("evaluate", RUN_ID), ("diagnose", RUN_ID, RUN_ID)], ids=lambda words: words[0]
)
def test_a_server_that_does_not_answer_is_waited_for_first(
    cli: Cli, service: Any, status: Any, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.05)
    service.failures["GetServerInfo"] += [status(grpc.StatusCode.UNAVAILABLE, "no")] * 5
    done = cli(*words)
    assert done.exit_code == ExitCode.UNAVAILABLE
    waits = [line for line in done.stderr.splitlines() if line.startswith("waiting for ")]
    assert [line.partition(", until ")[0] for line in waits] == ["waiting for the answer of the server"]
    assert [*service.requests] == ["GetServerInfo"]


def test_a_lost_server_is_the_only_thing_that_is_waited_for(
    cli: Cli, service: Any, status: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.5)
    service.broken_watches += [(1, status(grpc.StatusCode.UNAVAILABLE, "Socket closed"))] * 2
    service.broken_watches.append((0, status(grpc.StatusCode.UNAVAILABLE, "Socket closed")))
    lines = cli("watch", RUN_ID).stderr.splitlines()
    assert sum("is lost (Socket closed)" in line for line in lines) == 3
    assert not [line for line in lines if line.startswith("waiting for ")]


def test_the_runs_of_a_comparison_are_waited_for(cli: Cli, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.2)
    service.hold = True
    threading.Timer(1.0, service.released.set).start()
    lines = cli("compare", *TWO).stderr.splitlines()
    assert "waiting for the end of 4 runs, without a time limit" in lines


@pytest.mark.parametrize(
    ("timeout", "limit"), [((), "without a time limit"), (("--timeout", "30"), "until ")], ids=["forever", "limited"]
)
def test_a_long_run_is_announced_once_after_its_id(
    cli: Cli, service: Any, timeout: tuple[str, ...], limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 1.0)
    monkeypatch.setattr(waiting, "AGAIN_SECONDS", 0.05)
    service.hold = True
    threading.Timer(4.0, service.released.set).start()
    first, *others = cli("train", *timeout).stderr.splitlines()
    assert first == f"run {RUN_ID}  gradient-tape"
    (line,) = (line for line in others if line.startswith("waiting for "))
    assert line.startswith(f"waiting for the end of the run, {limit}")


def test_a_run_that_exceeds_the_time_limit_is_named(cli: Cli, service: Any) -> None:
    service.hold = True
    done = cli("train", "--timeout", "0.5")
    assert done.exit_code == ExitCode.DEADLINE
    assert done.stderr.splitlines()[-3:] == [
        CANCELLED,
        "error: no answer in time: the time limit of the call is over",
        "hint: allow more time, or train detached: such a run goes on without its caller",
    ]


def test_a_short_wait_says_nothing(cli: Cli) -> None:
    assert cli("show", RUN_ID).stderr == ""


def test_lines_of_progress_do_not_repeat(cli: Cli, service: Any) -> None:
    service.events[1:1] = [service.events[1]] * 5
    lines = cli("watch", RUN_ID).stderr.splitlines()
    assert len(lines) == len(set(lines)) == 3


def test_a_lost_server_is_reported_with_the_next_attempt(
    client: Client, service: Any, status: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service.broken_watches.append((1, status(grpc.StatusCode.UNAVAILABLE, "Socket closed")))
    with caplog.at_level(logging.WARNING, "loopbench_client"):
        list(client.watch_run(RUN_ID))
    (message,) = caplog.messages
    assert message.startswith(
        f"the server at {client.address} is lost (Socket closed); run {RUN_ID} is watched again in 0.2 s, until "
    )


@pytest.mark.usefixtures("short_pauses")
def test_the_command_line_reports_a_lost_server(cli: Cli, service: Any, status: Any) -> None:
    service.end = status(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    stderr = cli("train").stderr
    assert stderr.startswith(f"run {RUN_ID}  gradient-tape\n")
    assert f"is lost (Socket closed); run {RUN_ID} is requested again in 0.05 s" in stderr


def test_an_interrupted_train_names_the_run_that_it_cancels(address: str, service: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        service.hold = True
        service.held.clear()
        service.abandoned.clear()
        listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        command = [*START[:2], listen + START[2], "train", "--server", address]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"run {RUN_ID}  gradient-tape")
            process.send_signal(number)
            stderr = process.stderr.read()
        assert process.returncode == ExitCode.INTERRUPTED
        assert stderr.splitlines()[-2:] == [CANCELLED, "interrupted"]
        service.released.clear()


def shell(address: str, *words: str, stdout: Any = subprocess.PIPE, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*START, *words, "--server", address],
        env=os.environ | more,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )


FULL = ("train", "runs", "runs --json", "runs --csv", "info", f"show {RUN_ID}", f"diagnose {RUN_ID} {RUN_ID}")


@pytest.mark.parametrize("command", FULL)
def test_a_full_disk_is_one_line(address: str, command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = shell(address, *command.split(), stdout=full)
    assert done.returncode == ExitCode.OUTPUT_LOST
    assert done.stderr.splitlines()[-1] == b"error: the output cannot be written: No space left on device"
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "koi8-r"])
def test_every_encoding_of_a_terminal_is_enough(
    address: str, service: Any, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = spec.GroupSummary

    def with_deviation(**fields: Any) -> spec.GroupSummary:
        deviations = {"train_accuracy_sd": 0.01, "validation_accuracy_sd": 0.01}
        return summary(**fields | deviations)

    monkeypatch.setattr(spec, "GroupSummary", with_deviation)
    service.runs = [run.model_copy(update={"name": "größer … 大"}) for run in service.runs]
    for words in (("compare", *TWO), ("runs",), ("info",), ("compare", "--help"), (f"show {RUN_ID}".split())):
        done = shell(address, *words, PYTHONIOENCODING=encoding, TTY_COMPATIBLE="1")
        assert done.returncode == ExitCode.SUCCESS, done.stderr
        assert b"Traceback" not in done.stderr
        done.stdout.decode(encoding)
    assert b"+/-" in shell(address, "compare", *TWO, PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize(
    ("address_", "fault"),
    [
        ("127.0.0.1", "is not of the form HOST:PORT"),
        (":50051", "is not of the form HOST:PORT"),
        ("::1:50051", "is not of the form HOST:PORT"),
        ("127.0.0.1:0", "is not between 1 and 65,535"),
        ("127.0.0.1:99999", "is not between 1 and 65,535"),
        ("http://127.0.0.1:50051", "is a URL"),
    ],
)
def test_a_bad_address_is_refused_at_once(address_: str, fault: str) -> None:
    done = CliRunner().invoke(app, ["info", "--server", address_])
    assert done.exit_code == ExitCode.BAD_INPUT
    assert fault in done.stderr
    with pytest.raises(ValueError, match=fault):
        Client(address_)


@pytest.mark.parametrize("width", ["80", "60", "40"])
def test_help_cuts_nothing_that_must_be_typed(width: str) -> None:
    names = [command.__name__ for command in COMMANDS]
    for words in ([], *([name] for name in names)):
        done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": width})
        assert done.exit_code == ExitCode.SUCCESS
        assert "…" not in done.stdout
        too_long = [line for line in done.stdout.splitlines() if len(line) > int(width) and " " in line.strip()]
        assert too_long == []
        assert "<bool>" not in done.stdout
        arguments = done.stdout.partition("\nArguments:\n")[2].partition("\n\n")[0]
        assert "<" not in arguments
    shown = set(CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": width}).stdout.replace(",", " ").split())
    assert {f"--{name.replace('_', '-')}" for name in spec.RunSpec.model_fields} <= shown
    values = itertools.chain(spec.Method, spec.Loss, spec.Execution, spec.AccuracyMetric)
    typed = {value.lower().replace("_", "-") for value in values}
    assert typed <= {word.rstrip(".") for word in shown}


def in_shell(line: str, address: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a line of the shell in which ``$L`` is ``loopbench``."""
    program = f'{sys.executable} -c "from loopbench_cli import main; main()"'
    line = f'set -o pipefail; loopbench() {{ {program} "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"LOOPBENCH_SERVER": address},
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_messages_that_nobody_reads_cost_neither_the_answer_nor_the_run(address: str, service: Any) -> None:
    for nowhere in ("2> >(exec true)", "2>/dev/full", "2>&-"):
        done = in_shell(f"loopbench train --json {nowhere}", address)
        assert done.returncode == ExitCode.SUCCESS, (nowhere, done)
        assert json.loads(done.stdout)["id"] == RUN_ID
    assert not service.abandoned.is_set()


@pytest.mark.parametrize("command", ["runs", "runs --json", "runs --csv", "train", "--help", "train --help"])
def test_an_answer_that_nobody_reads_is_lost_output(address: str, command: str) -> None:
    done = in_shell(f"loopbench {command} > >(exec true); echo $?", address)
    assert done.stdout.split()[-1] == str(int(ExitCode.OUTPUT_LOST)).encode()
    assert b"Traceback" not in done.stderr


def test_closed_streams_are_no_traceback(address: str) -> None:
    done = in_shell("loopbench runs >&-", address)
    assert done.returncode == ExitCode.OUTPUT_LOST
    assert done.stderr == b"error: the output cannot be written: Bad file descriptor\n"
    done = in_shell("loopbench delete --all <&-", address)
    assert done.returncode == ExitCode.BAD_INPUT
    assert b"add --yes" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_pipe_that_does_not_block_gets_everything(address: str, service: Any) -> None:
    service.runs *= 300
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen(
        [*START, "runs", "--json", "--limit", "1000", "--server", address], stdout=writing
    ) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            time.sleep(2)  # the pipe is full by then
            document = json.load(pipe)
    assert process.returncode == ExitCode.SUCCESS
    assert len(document["runs"]) == len(service.runs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_command_as_an_interrupt(address: str, service: Any, number: int) -> None:
    service.hold = True
    # Under nohup, or in the background of a shell, a test inherits signals that are ignored.
    code = f"import signal; signal.signal({number:d}, signal.SIG_DFL); "
    code += "signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [*START[:2], code + START[2], "demo", "--server", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert service.held.wait(60)
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1] == "interrupted"
    assert process.returncode == ExitCode.INTERRUPTED


def test_an_ignored_hangup_stays_ignored(address: str, service: Any) -> None:
    service.hold = True
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    with subprocess.Popen([*START[:2], code + START[2], "train", "--server", address]) as process:
        assert service.held.wait(60)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        service.released.set()
    assert process.returncode == ExitCode.SUCCESS
