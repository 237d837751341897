"""Errors of ``loopbench tensorboard`` before its start, and the names of its runs."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from loopbench import spec
from loopbench_client.cli.commands import tensorboard
from loopbench_client.cli.exit_codes import ExitCode

Cli = Callable[..., Result]


def logged(run: spec.Run, folder: Path) -> spec.Run:
    """The run with its logs in ``folder``."""
    assert run.result is not None
    return run.model_copy(update={"result": run.result.model_copy(update={"tensorboard_dir": str(folder)})})


def test_a_run_without_logs_says_how_to_get_them(cli: Cli, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id="r1")]
    done = cli("tensorboard", "r1")
    assert done.exit_code == ExitCode.REFUSED
    assert done.stderr == "error: run r1 has no TensorBoard logs\nhint: train the same with --tensorboard\n"


def test_a_run_that_has_not_ended_has_no_logs_yet(cli: Cli, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id="r1", state=spec.RunState.RUNNING, result=None)]
    done = cli("tensorboard", "r1")
    assert (done.exit_code, done.stderr) == (
        ExitCode.REFUSED,
        "error: run r1 is running and has no result, and so no finished logs\n",
    )


def test_logs_of_another_machine_are_named(cli: Cli, service: Any, make_served_run: Any, tmp_path: Path) -> None:
    service.runs = [logged(make_served_run(id="r1"), tmp_path / "gone")]
    done = cli("tensorboard", "r1")
    assert done.exit_code == ExitCode.REFUSED
    assert f"the logs of run r1 are not on this machine: {tmp_path / 'gone'}" in done.stderr
    assert "hint: use this command on the server's machine" in done.stderr


def test_tensorboard_that_is_not_installed_is_named(cli: Cli, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopbench_client.cli.commands.tensorboard.find_spec", lambda _: None)
    done = cli("tensorboard", "r1")
    assert done.exit_code == ExitCode.RUN_FAILED
    assert done.stderr.splitlines() == [
        "error: TensorBoard is not installed here",
        "hint: install it beside loopbench: pip install tensorboard",
    ]
    assert not service.requests


def test_a_port_that_is_taken_is_refused_at_once(cli: Cli, service: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = cli("tensorboard", "r1", "--port", str(port))
    assert done.exit_code == ExitCode.BAD_INPUT
    assert f"port {port} of 127.0.0.1 cannot be used: Address already in use; port 0 takes a free one" in done.stderr
    assert not service.requests


def test_runs_go_by_what_was_trained(make_served_run: Any, tmp_path: Path) -> None:
    runs = [
        logged(make_served_run(spec.RunSpec(seed=seed, optimizer=optimizer), id=f"{number}2345678-9"), tmp_path)
        for number, (seed, optimizer) in enumerate([(0, spec.Sgd()), (0, spec.Sgd(momentum=0.9)), (1, spec.Adam())])
    ]
    assert [*tensorboard.named_folders(runs)] == [
        "gradient-tape-sum-of-squares-sgd-seed0-02345678",
        "gradient-tape-sum-of-squares-sgd-seed0-12345678",
        "gradient-tape-sum-of-squares-adam-seed1",
    ]


def test_runs_with_a_name_go_by_it(make_served_run: Any, tmp_path: Path) -> None:
    names = ["adam", "sgd/0.1 ..", "../..", "тест", "long " * 20]
    runs = [logged(make_served_run(id=f"{n}2345678-9", name=name), tmp_path) for n, name in enumerate(names)]
    found = [*tensorboard.named_folders(runs)]
    # The third name has nothing that a folder's name may have.
    assert found[:4] == ["adam", "sgd-0.1", "gradient-tape-sum-of-squares-sgd-seed0", "тест"]
    assert found[4] == "-".join(["long"] * 12)


def test_names_that_two_runs_have_get_the_id(make_served_run: Any, tmp_path: Path) -> None:
    runs = [logged(make_served_run(id=f"{n}2345678-9", name="adam"), tmp_path) for n in range(2)]
    assert [*tensorboard.named_folders(runs)] == ["adam-02345678", "adam-12345678"]
