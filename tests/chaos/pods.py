"""The program of an index as a pod runs it: a process of its own session, in front of a store that others share."""

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

# Seconds. Long enough not to lapse where many processes import TensorFlow at once.
LEASE = 20
TIMEOUT = 240


class Pod:
    """One attempt at an index."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return json_lines(self._log.read_text())

    @property
    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        return self._log.read_text().splitlines()[-1]

    def kill(self) -> None:
        """Ends it with all below, as a node that vanishes does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self) -> tuple[int, str]:
        """The exit code and what it printed, once it has ended."""
        answer, _ = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, answer


class Cluster:
    """Starts pods of one sweep, and looks into their store."""

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
        """A pod of that index."""
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
        """The run of that index, once it has stored an epoch."""
        request_id = self.sweep.request_id(number)
        eventually(lambda: (run := self.store.find_request(request_id)) and self.store.get_epochs(run.id), TIMEOUT)
        run = self.store.find_request(request_id)
        assert run is not None
        return run

    def runs(self) -> list[Run]:
        """All that the store has."""
        return [*self.store.list(RunFilter(), 100, "")[0]]

    def close(self) -> None:
        for pod in self._pods:
            if pod.process.poll() is None:
                pod.kill()
        if self._opened:
            self._opened.close()


@contextmanager
def cluster_of(sweep: Sweep, folder: Path, store_url: str) -> Iterator[Cluster]:
    """One whose pods end with the block."""
    made = Cluster(sweep, folder, store_url)
    try:
        yield made
    finally:
        made.close()
