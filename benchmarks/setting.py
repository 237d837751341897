"""The setting of the measurements: data, peers' environment and real servers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from loopbench_client import Client

ROOT = Path(__file__).parent.parent
LISTENING = "loopbench-server listening on "


@dataclass(frozen=True)
class Setting:
    """``data_dir`` holds ``mnist.npz``; ``peers`` is the Python of the peers' environment."""

    data_dir: Path
    peers: Path

    @property
    def mnist(self) -> Path:
        """The file of the dataset."""
        return self.data_dir / "mnist.npz"

    def peer(self, module: str, *arguments: object) -> Any:
        """What ``benchmarks.peers.<module>`` prints, run in the peers' environment."""
        return answer([self.peers, "-m", f"benchmarks.peers.{module}", "--mnist", self.mnist, *arguments])


def answer(command: Sequence[object]) -> Any:
    """The JSON that ``command`` prints.

    Raises:
        subprocess.CalledProcessError: it failed; standard error has the reason.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    words = list(map(str, command))
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, cwd=ROOT, env=environment)  # noqa: S603  our own
    return json.loads(done.stdout)


@dataclass(frozen=True)
class RunningServer:
    """A real server on loopback, with a client."""

    address: str
    process: psutil.Process
    client: Client


@contextmanager
def server(setting: Setting, *flags: object) -> Iterator[RunningServer]:
    """A server that has just begun to listen, with a new database; it ends with the block."""
    with TemporaryDirectory(prefix="loopbench-benchmark-") as folder:
        command = [
            *(sys.executable, "-m", "loopbench_server", "--address", "127.0.0.1:0", "--metrics-address", "none"),
            *("--store-url", f"sqlite:///{folder}/runs.db", "--tensorboard-dir", f"{folder}/tensorboard"),
            *("--data-dir", setting.data_dir, "--log-level", "warning", "--drain-seconds", "0", *flags),
        ]
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            assert process.stdout is not None
            try:
                address = process.stdout.readline().removeprefix(LISTENING).strip()
                with Client(address) as client:
                    yield RunningServer(address, psutil.Process(process.pid), client)
            finally:
                process.terminate()


@contextmanager
def ready_server(setting: Setting, *flags: object) -> Iterator[RunningServer]:
    """As :func:`server`, once it takes runs."""
    with server(setting, *flags) as running:
        running.client.wait_ready(180)
        yield running
