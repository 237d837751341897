"""The index program as in a pod: a process in a separate session, on a shared store."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from loopbench.spec import Run, RunFilter
from loopbench.sweep import Sweep
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from tests.support.servers import eventually, json_lines

# Seconds. A lease must not expire while many processes import TensorFlow.
LEASE = 20
TIMEOUT = 240


class Pod:
    """One attempt at an index."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the pod's log."""
        return json_lines(self._log.read_text())

    @property
    def last_error_line(self) -> str:
        """The last line of the pod's standard error."""
        return self._log.read_text().splitlines()[-1]

    def kill(self) -> None:
        """Kills the pod with all its processes, like a lost node."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self) -> tuple[int, str]:
        """Exit code after the pod's end, and the line with the run that has succeeded; empty without one."""
        output, _ = self.process.communicate(timeout=TIMEOUT)
        lines = (line for line in output.splitlines() if json.loads(line)["state"] == "RUN_STATE_SUCCEEDED")
        return self.process.returncode, next(lines, "")


class Cluster:
    """Starts pods of one sweep and reads their store."""

    def __init__(self, sweep: Sweep, folder: Path, store_url: str) -> None:
        self.sweep = sweep
        self.store_url = store_url
        self._folder = folder
        self._file = folder / "sweep.json"
        self._file.write_text(sweep.text)
        self._pods: list[Pod] = []
        self._opened: Store | None = None

    @property
    def store(self) -> Store:
        if self._opened is None:
            self._opened = Store(open_database(self.store_url), "test", timedelta(seconds=LEASE))
        return self._opened

    def start(self, number: int, *flags: str) -> Pod:
        """Starts a pod for an index."""
        environment = os.environ | {
            "JOB_COMPLETION_INDEX": str(number),
            "LOOPBENCH_STORE_URL": self.store_url,
            "LOOPBENCH_LEASE_SECONDS": str(LEASE),
            "LOOPBENCH_TENSORBOARD_DIR": str(self._folder / "tensorboard"),
            "LOOPBENCH_METRICS_ADDRESS": "127.0.0.1:0",
        }
        command = [sys.executable, "-m", "loopbench_server.sweep", "--sweep-file", str(self._file), *flags]
        log = self._folder / f"log-{len(self._pods)}"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, start_new_session=True
            )
        self._pods.append(Pod(process, log))
        return self._pods[-1]

    def under_way(self, number: int) -> Run:
        """The run of an index, once its first epoch is stored."""
        request_id = self.sweep.request_id(number)
        eventually(lambda: (run := self.store.find_request(request_id)) and self.store.get_epochs(run.id), TIMEOUT)
        run = self.store.find_request(request_id)
        assert run is not None
        return run

    def runs(self) -> list[Run]:
        """All runs of the store."""
        return [*self.store.list(RunFilter(), 100, "")[0]]

    def close(self) -> None:
        for pod in self._pods:
            if pod.process.poll() is None:
                pod.kill()
            elif pod.process.stdout:
                pod.process.stdout.close()
        if self._opened:
            self._opened.close()


@contextmanager
def running_cluster(sweep: Sweep, folder: Path, store_url: str) -> Iterator[Cluster]:
    """A cluster whose pods are killed at the end of the block."""
    made = Cluster(sweep, folder, store_url)
    try:
        yield made
    finally:
        made.close()
