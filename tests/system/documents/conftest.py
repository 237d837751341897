"""Runs the examples of a page in one shell, as its reader does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.postgresql import free_port

SECONDS = 1_500
# Stops the server of the page before the next one starts, before a restore, and at the end. A reader uses one terminal
# for each.
PREAMBLE = """
set -euo pipefail
server=
stop() { [ -z "$server" ] || { kill "$server"; wait "$server"; server=; }; }
trap stop EXIT
loopbench-server() {
  case ${1-} in
    backup) command loopbench-server "$@"; return ;;
    restore) stop; command loopbench-server "$@"; return ;;
  esac
  stop
  command loopbench-server "$@" > listening &
  server=$!
  until grep -q listening listening; do kill -0 "$server"; sleep 0.2; done
}
"""

RunExamples = Callable[[str], str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a reader: the programs on PATH, and a store in the folder of the test."""
    settings = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(str(Path(folder).resolve()) for folder in sys.path if folder),
        "LOOPBENCH_METRICS_ADDRESS": "none",
        "LOOPBENCH_STORE_URL": "sqlite:///runs.db",
        "XDG_STATE_HOME": str(tmp_path),
    }
    return os.environ | settings


@pytest.fixture
def run_examples(tmp_path: Path, environment: dict[str, str]) -> RunExamples:
    """Runs a script in the folder of the test, with a free port for 50051; returns what it prints."""

    def run(text: str) -> str:
        port = str(free_port())
        done = subprocess.run(
            ["bash", "-c", PREAMBLE + text.replace("50051", port)],
            cwd=tmp_path,
            env=environment | {"LOOPBENCH_ADDRESS": f"127.0.0.1:{port}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    return run
