"""``loopbench tensorboard`` on runs of a real server, with a real TensorBoard."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopbench.spec import Dataset, Loss, Method, Run, RunSpec
from loopbench_client import LoopbenchError
from loopbench_client.cli.tensorboard_process import tensorboard_process
from tests.support.servers import TIMEOUT_SECONDS

pytestmark = pytest.mark.slow

# A shell's background process ignores SIGINT, and its children inherit that.
LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
START = (sys.executable, "-c", f"{LISTEN}from loopbench_client.cli import main; main()", "tensorboard")
SECONDS_TO_LOAD = 240
SCALARS = {"epoch_loss", "epoch_accuracy", "final_loss", "final_accuracy"}

TAPE = "gradient-tape-sum-of-squares-sgd-seed0"
FIT = "fit-mean-squared-error-sgd-seed0"


@pytest.fixture(scope="module")
def logged(server: Any) -> tuple[Run, Run]:
    shared = RunSpec(dataset=Dataset.DIGITS, epochs=2, tensorboard=True)
    mean = {"method": Method.FIT, "loss": Loss.MEAN_SQUARED_ERROR}
    with server.client() as client:
        return client.train(shared), client.train(shared.model_copy(update=mean))


@contextmanager
def command(server: Any, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Starts the command and kills it at the end of the test."""
    start = [*START, *words, "--server", server.address]
    # A killed command leaves its temporary folder.
    environment = os.environ | {"TMPDIR": str(server.folder)}
    with subprocess.Popen(start, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_address(process: subprocess.Popen[str]) -> str:
    """The address that the command prints once TensorBoard serves."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def read(address: str, path: str) -> Any:
    with urllib.request.urlopen(address + path, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # loopback
        return json.load(answer)


def scalars(address: str, runs: int) -> Any:
    """The scalars of every run; TensorBoard still reads the logs after it serves."""
    end = time.monotonic() + SECONDS_TO_LOAD
    tags: dict[str, Any] = {}
    while time.monotonic() < end and (len(tags) < runs or any(len(of_run) < len(SCALARS) for of_run in tags.values())):
        time.sleep(0.2)
        tags = read(address, "data/plugin/scalars/tags")
    return tags


def test_runs_stand_side_by_side_until_ctrl_c(server: Any, logged: tuple[Run, Run]) -> None:
    with command(server, *(run.id for run in logged)) as process:
        address = wait_for_address(process)
        assert address.startswith("http://127.0.0.1:")
        below = psutil.Process(process.pid).children(recursive=True)
        names = [f"{name}/{split}" for name in (TAPE, FIT) for split in ("train", "validation")]
        # TensorBoard draws one chart per tag, so equal tags share a chart.
        assert {name: set(tags) for name, tags in scalars(address, len(names)).items()} == {
            name: SCALARS | ({"epoch_learning_rate"} if name.endswith("/train") else set()) for name in names
        }
        # The folder above holds the hyperparameters.
        assert sorted(read(address, "data/runs")) == sorted([*names, TAPE, FIT])
        for name, run in zip((TAPE, FIT), logged, strict=True):
            points = read(address, f"data/plugin/scalars/scalars?run={name}/train&tag=epoch_loss")
            assert run.result
            assert [loss for *_, loss in points] == pytest.approx([r.train.loss for r in run.result.history])
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, stderr) == (0, f"{TAPE}, {FIT}; Ctrl-C ends it\n")
    assert below
    assert psutil.wait_procs(below, timeout=TIMEOUT_SECONDS)[1] == []


def test_the_log_of_a_tensorboard_that_ends_by_itself_has_its_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with tensorboard_process(tmp_path, port, tmp_path / "log") as board, pytest.raises(LoopbenchError) as caught:
            board.wait_ready()
    assert f"could not bind to port {port}" in caught.value.message
    assert "Fatal Python error" not in caught.value.message


def test_tensorboard_ends_with_its_killed_command(server: Any, logged: tuple[Run, Run]) -> None:
    with command(server, logged[0].id) as process:
        assert wait_for_address(process)
        below = psutil.Process(process.pid).children(recursive=True)
    assert below
    assert psutil.wait_procs(below, timeout=TIMEOUT_SECONDS)[1] == []
