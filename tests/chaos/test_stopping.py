"""A server that must end does so before its deadline, although a part of it hangs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# The server with a part of it replaced.
PROGRAM = """
import asyncio, time
from loopbench_server import app
from loopbench_server.store.store import Store
from loopbench_server.__main__ import main

async def fail(*_, **__):
    await asyncio.sleep(1)
    raise SystemError("a part that the server cannot do without")

async def hang(*_, **__):
    await asyncio.sleep(600)

{patch}
main()
"""
DRAIN_SECONDS = 1
# Seconds beyond the drain time that the documentation allows for an end.
END_SECONDS = 10

Begin = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    def started(patch: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM.format(patch=patch), "--address", "127.0.0.1:0"]
        command += ["--metrics-address", "none", "--store-url", f"sqlite:///{tmp_path / 'runs.db'}"]
        command += ["--tensorboard-dir", str(tmp_path), "--drain-seconds", str(DRAIN_SECONDS)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    return started


def test_a_long_integrity_check_of_the_database_does_not_delay_the_end(begin: Begin) -> None:
    with begin("Store.check_integrity = lambda _: time.sleep(600)") as server:
        server.terminate()
        _, log = server.communicate(timeout=DRAIN_SECONDS + END_SECONDS)
    assert server.returncode == 0
    assert '"event": "stopped"' in log


def test_a_failing_server_has_a_deadline_too(begin: Begin) -> None:
    with begin("app.follow_results = fail; app.Scheduler.drain = hang") as server:
        _, log = server.communicate(timeout=60)
    assert server.returncode == 1
    assert "the server cannot continue" in log
    assert "shutdown deadline exceeded" in log
