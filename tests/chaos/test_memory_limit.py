"""If a container runs out of memory, Linux kills a run first, and the server goes on."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from loopbench.spec import Dataset, Execution, RunSpec, RunState
from loopbench_client import Client
from tests.chaos.server_under_test import ServerUnderTest
from tests.support.servers import eventually

pytestmark = pytest.mark.slow

SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
# Version 1 and version 2 of cgroups: the folder, and the files of the limit and of the usage.
VERSIONS = [
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
]
# Allocates memory continuously, with the same OOM score as the server.
HOG = "import time; held = [bytearray(1 << 22) for _ in iter(lambda: time.sleep(0.02), 1)]"


class Group:
    """A separate cgroup for the test."""

    def __init__(self, folder: Path, limit: str, used: str) -> None:
        self.processes = folder / "cgroup.procs"
        self.limit = folder / limit
        self._used = folder / used

    @property
    def used(self) -> int:
        return int(self._used.read_text())


@pytest.fixture
def group() -> Iterator[Group]:
    for parent, limit, used in VERSIONS:
        folder = parent / f"loopbench-{uuid4()}"
        with suppress(OSError):
            folder.mkdir()
            if (folder / limit).exists():
                yield Group(folder, limit, used)
                folder.rmdir()
                return
            folder.rmdir()
    pytest.skip("no cgroup with a limit of memory can be made here")


def test_a_container_out_of_memory_loses_only_one_run(group: Group, tmp_path: Path) -> None:
    server = ServerUnderTest(tmp_path, f"sqlite:///{tmp_path / 'runs.db'}", "--slots", "1", "--drain-seconds", "0")
    server._command = ["sh", "-c", f'echo $$ > {group.processes}; exec "$@"', "sh", *server._command]
    server.start()
    try:
        server.wait_ready()
        with Client(server.address) as client:
            run = client.train(LONG, detach=True)
            eventually(lambda: any(event.progress for event in [next(client.watch_run(run.id))]))
            (worker,) = server.workers()
            group.limit.write_text(str(group.used + (32 << 20)))
            hog = subprocess.Popen(
                ["sh", "-c", f'echo $$ > {group.processes}; exec "$@"', "sh", sys.executable, "-c", HOG]
            )
            eventually(lambda: not worker.is_running() or hog.poll() is not None)
            hog.kill()
            hog.wait()
            eventually(lambda: client.get_run(run.id).state.ended)
            ended = client.get_run(run.id)
            assert ended.state is RunState.FAILED
            assert ended.error is not None
            assert (ended.error.reason, ended.error.retryable) == ("WORKER_LOST", True)
            assert server.process is not None
            assert server.process.poll() is None
            # Most memory of a worker is shared with the forkserver, so a second kill may follow at once. It takes the
            # larger of the hog and the forkserver, which the server replaces.
            group.limit.write_text(str(1 << 40))
            server.wait_ready()
            assert client.train(SHORT).state is RunState.SUCCEEDED
    finally:
        assert server.stop() == 0
