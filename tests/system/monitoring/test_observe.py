"""make observe: it shows what its guide promises and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from scripts.observe.prometheus import Prometheus
from tests.support.paths import ROOT
from tests.support.postgresql import free_port
from tests.support.servers import eventually

TIMEOUT_SECONDS = 300


@dataclass
class Observed:
    """The program, the Prometheus that it runs, and all processes below it."""

    process: subprocess.Popen[str]
    prometheus: Prometheus

    def below(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def shows(self, words: str) -> None:
        """Waits for a line with ``words``."""
        assert self.process.stdout is not None
        next(line for line in self.process.stdout if words in line)


@pytest.fixture
def observed(prometheus_tools: None, tmp_path: Path) -> Iterator[Observed]:  # noqa: ARG001  skips
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("metrics", "prometheus")}
    flags = [word for name, address in addresses.items() for word in (f"--{name}-address", address)]
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.observe", "--address", "127.0.0.1:0", "--pause", "0", *flags],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield Observed(process, Prometheus(addresses["prometheus"]))
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=TIMEOUT_SECONDS)


def test_prometheus_sees_the_load_and_ctrl_c_ends_everything(observed: Observed, tmp_path: Path) -> None:
    observed.shows("compared the three")
    compared = 'sum(loopbench_comparison_pairs_total{verdict="IDENTICAL"}) >= 3'
    eventually(lambda: bool(observed.prometheus.query(compared, time.time())), TIMEOUT_SECONDS)
    below = observed.below()
    assert len(below) > 1

    observed.process.send_signal(signal.SIGINT)

    output, errors = observed.process.communicate(timeout=TIMEOUT_SECONDS)
    assert (observed.process.returncode, output.splitlines()[-1], errors) == (0, "ended", "")
    eventually(lambda: not any(process.is_running() for process in below))
    assert [*tmp_path.glob("loopbench-observe-*")] == []


def test_it_ends_with_its_server_and_says_so(observed: Observed) -> None:
    observed.shows("GRADIENT_TAPE with")
    (server,) = (one for one in observed.below() if "--exit-on-stdin-eof" in one.cmdline())

    server.kill()

    # Less than the client waits for another server.
    _, errors = observed.process.communicate(timeout=60)
    assert observed.process.returncode == 1
    *lost, last = errors.splitlines()
    assert last == "the server has ended with exit status -9"
    # The client may have seen the broken connection before.
    assert all("is lost" in line for line in lost), errors
