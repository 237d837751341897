"""``loopbench sweep --local`` and ``loopbench compare`` on one store: the comparison reuses the sweep's runs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from loopbench.spec import RunFilter, RunState
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from tests.support.servers import Start, eventually

pytestmark = pytest.mark.slow

PLAN = "seeds: 2\ndefaults: {dataset: digits, epochs: 2}\nspecs: {tape: , fit: {method: fit}}"
ENDLESS = "seeds: 2\ndefaults: {dataset: digits, epochs: 1000, execution: eager}\nspecs: {tape: }"
# A shell's background process ignores SIGINT, and its children inherit that.
CODE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
CODE += "from loopbench_client.cli import main; main()"
TIMEOUT = 600

Command = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Starts ``loopbench`` with these arguments on the store of the test's servers."""
    environment = os.environ | {
        "LOOPBENCH_STORE_URL": f"sqlite:///{tmp_path / 'runs.db'}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", CODE, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    return start


def test_a_comparison_reuses_the_runs_of_a_sweep(command: Command, start: Start, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    sweep = command("sweep", str(plan), "--local", "--json")
    answer, errors = sweep.communicate(timeout=TIMEOUT)
    assert sweep.returncode == ExitCode.SUCCESS, errors
    indices = json.loads(answer)["indices"]
    assert [(one["label"], one["seed"], one["state"]) for one in indices] == [
        (label, seed, "succeeded") for label in ("tape", "fit") for seed in (0, 1)
    ]
    assert [(one["run"]["name"], one["run"]["labels"]) for one in indices] == [
        (label, {"plan": "plan"}) for label in ("tape", "fit") for _ in range(2)
    ]
    server = start("--slots", "1")
    server.wait_ready()
    compare = command("compare", "--file", str(plan), "--server", server.address, "--json", "--require", "identical")
    answer, errors = compare.communicate(timeout=TIMEOUT)
    assert compare.returncode == ExitCode.SUCCESS, errors
    compared = json.loads(answer)
    assert compared["reused"] == 4
    assert [run for label in ("tape", "fit") for run in compared["runs"][label]] == [one["run"] for one in indices]
    assert [pair["verdict"] for pair in compared["pairs"]] == ["VERDICT_IDENTICAL"]


def test_ctrl_c_leaves_resumable_runs_and_no_process(command: Command, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(ENDLESS)
    store = Store(open_database(f"sqlite:///{tmp_path / 'runs.db'}"), "test", timedelta(seconds=30))
    with command("sweep", str(plan), "--local", "--parallelism", "2") as sweep:
        try:
            running = RunFilter(states=(RunState.RUNNING,))
            eventually(lambda: len(store.list(running, 10, "")[0]) == 2, TIMEOUT)
            below = psutil.Process(sweep.pid).children(recursive=True)
            sweep.send_signal(signal.SIGINT)
            sweep.communicate(timeout=TIMEOUT)
        finally:
            sweep.kill()
    assert sweep.returncode == ExitCode.INTERRUPTED
    eventually(lambda: not any(map(_lives, below)))
    runs, _ = store.list(RunFilter(), 10, "")
    store.close()
    assert [(run.state, run.error.retryable) for run in runs if run.error] == [(RunState.CANCELLED, True)] * 2


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
